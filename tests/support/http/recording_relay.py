"""A relay that notes which of OpenSearch's actions a command asks for."""

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

ACTIONS = {
    r"GET /_cluster/state/version": "cluster:monitor/state",
    r"GET /_search/pipeline(/[^/]+)?": "cluster:admin/search/pipeline/get",
    r"GET /_data_stream/[^/]+": "indices:admin/data_stream/get",
    r"POST /_index_template/_simulate_index/[^/]+": "indices:admin/index_template/simulate_index",
    r"POST /_index_template/_simulate/[^/]+": "indices:admin/index_template/simulate",
    r"POST /_search/scroll": "indices:data/read/scroll",
    r"DELETE /_search/scroll": "indices:data/read/scroll/clear",
    r"(GET|POST) (/[^/]+)?/(_count|_search)": "indices:data/read/search",
    r"POST /[^/]+/_search/point_in_time": "indices:data/read/point_in_time/create",
    r"DELETE /_search/point_in_time": "indices:data/read/point_in_time/delete",
    r"POST /([^/]+/)?_bulk": "indices:data/write/bulk",
    r"GET /[^/]+/_stats(/[a-z]+)?": "indices:monitor/stats",
    r"(GET|POST) /[^/]+/_mget": "indices:data/read/mget",
    r"(PUT|POST) /[^/]+/(_doc|_create)/[^/]+": "indices:data/write/index",
    r"POST /[^/]+/_refresh": "indices:admin/refresh",
    r"PUT /[^/]+/_mapping": "indices:admin/mapping/put",
    r"GET /[^/_]?[^/]*": "indices:admin/get",
    r"PUT /[^/_][^/]*": "indices:admin/create",
}
"""Method and path -> the action that OpenSearch's security plugin checks; the first that fits counts."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.add(_action(self.command, self.path))  # type: ignore[attr-defined]
        self.server.callers.append(self.headers.get("Authorization"))  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        connection = http.client.HTTPConnection(self.server.upstream, timeout=60)  # type: ignore[attr-defined]
        kept = {
            name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")
        }
        connection.request(self.command, self.path, body, kept)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.getheader("Content-Type") or "application/json")
        for name in ("Content-Encoding",):
            if answer.getheader(name):
                self.send_header(name, answer.getheader(name) or "")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815  # the names that the library calls

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def _action(method: str, target: str) -> str:
    asked = f"{method} {target.partition('?')[0]}"
    return next((action for pattern, action in ACTIONS.items() if re.fullmatch(pattern, asked)), asked)


@contextmanager
def recording_relay(url: str) -> Iterator[tuple[str, set[str]]]:
    """Yield a URL in front of `url`, and the set of actions that was asked for through it."""
    with recorded(url) as (relay, actions, _):
        yield relay, actions


@contextmanager
def recorded(url: str) -> Iterator[tuple[str, set[str], list[str | None]]]:
    """Yield the same, and as whom: each request's `Authorization`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    asked, callers = set[str](), list[str | None]()
    server.asked, server.callers = asked, callers  # type: ignore[attr-defined]
    server.upstream = urlsplit(url).netloc  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked, callers
    server.shutdown()
    server.server_close()

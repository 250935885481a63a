"""An upstream that answers by the path of a request, whenever it comes, and keeps what it was sent."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec


@dataclass(frozen=True)
class SentRequest:
    """What was sent: the method, the path without its parameters, these, the headers and the body."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


Route = Callable[[SentRequest], tuple[int, object]]
"""Returns a status and a body, bytes or any JSON."""


@dataclass
class RoutedUpstream:
    """A running upstream: `routes` answers by path, `sent` is what came."""

    url: str
    routes: dict[str, Route] = field(default_factory=dict)
    sent: list[SentRequest] = field(default_factory=list)

    def sent_to(self, path: str) -> list[SentRequest]:
        """Return the requests to one path."""
        return [each for each in self.sent if each.path == path]


@contextmanager
def routed(routes: dict[str, Route] | None = None) -> Iterator[RoutedUpstream]:
    """Run an upstream on a free port; a path without a route is answered 404."""
    found = RoutedUpstream("", dict(routes or {}))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = SentRequest(self.command, path, query, dict(self.headers.items()), body)
            found.sent.append(request)
            status, answer = found.routes[path](request) if path in found.routes else (404, {})
            content = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815  # names that http.server asks for

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()

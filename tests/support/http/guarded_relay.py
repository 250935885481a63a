"""A server in front of OpenSearch that speaks TLS and answers only who has the password."""

import http.client
import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from opensearch.credentials import url_with_credentials
from plugin.http.headers import read_credentials
from tests.support.http.tls_relay import Certificates

USER, PASSWORD = "shop", "Gr\u00fc\u00dfe, 100 %: \u4e2d/\u6587?#@"
"""A password with everything that URLs, headers and Latin-1 spoil."""


@dataclass
class Guard:
    """Where it is, with and without TLS, the password that it wants, and what it saw of who asked."""

    behind: str
    https_url: str = ""
    url: str = ""
    password: str = PASSWORD
    refused: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)


@contextmanager
def guarded(url: str, certificates: Certificates) -> Iterator[Guard]:
    """Run both servers in front of an OpenSearch."""
    guard = Guard(url)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificates.authority.issue_cert("localhost").configure_cert(context)
    plain, over_tls = (_server(guard) for _ in range(2))
    over_tls.socket = context.wrap_socket(over_tls.socket, server_side=True, do_handshake_on_connect=False)
    guard.url = f"http://localhost:{plain.server_port}"
    guard.https_url = f"https://localhost:{over_tls.server_port}"
    for server in (plain, over_tls):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield guard
    finally:
        for server in (plain, over_tls):
            server.shutdown()
            server.server_close()


def _server(guard: Guard) -> http.server.ThreadingHTTPServer:
    behind = urlsplit(guard.behind)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            given = self.headers.get("Authorization", "")
            [(_, expected)] = read_credentials(url_with_credentials(guard.behind, USER, guard.password))
            if given != expected:
                guard.refused.append(self.path)
                self._send(401, b"Unauthorized", "text/plain")
                return
            guard.answered.append(self.path)
            connection = http.client.HTTPConnection(behind.hostname or "", behind.port, timeout=60)
            with closing(connection):
                headers = {"Content-Type": self.headers.get("Content-Type", "application/json")}
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                self._send(answer.status, answer.read(), answer.headers.get("Content-Type", ""))

        def _send(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", content_type)
            self.end_headers()
            self.wfile.write(body if self.command != "HEAD" else b"")

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

        do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _answer  # noqa: N815  # the library's names

    server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
    server.daemon_threads = True
    return server

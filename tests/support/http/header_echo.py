"""A hop before OpenSearch that remembers the headers of what came through it."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class HeaderEcho(ThreadingHTTPServer):
    """Forwards each request and keeps its headers."""

    daemon_threads = True

    def __init__(self, url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(url).netloc
        self.seen: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        """Where to send requests."""
        return f"http://127.0.0.1:{self.server_port}"

    def headers(self, name: str) -> list[str]:
        """Return every value that a header of this lower-case name had."""
        return [value for key, value in self.seen if key.lower() == name]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HeaderEcho

    def do_GET(self) -> None:
        self.server.seen += self.headers.items()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        connection = http.client.HTTPConnection(self.server.upstream, timeout=60)
        kept = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        connection.request(self.command, self.path, body, kept)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815  # the names that the library calls

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def header_echo(url: str) -> Iterator[HeaderEcho]:
    """Run such a hop for as long as the block lasts."""
    with HeaderEcho(url) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

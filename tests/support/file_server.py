"""An HTTP server of a few files, which fails in the ways that a download must survive."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """What is served, and how; may be changed while it runs."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    """Path, as `/a.txt`, and content."""
    break_after: list[int] = field(default_factory=list)
    """For each of the next answers, after how many bytes of its body the connection is closed."""
    statuses: list[int] = field(default_factory=list)
    """For each of the next requests, an error to answer with."""
    has_ranges: bool = True
    ranges: list[str | None] = field(default_factory=list)
    """The header `Range` of each request, in order."""


@contextmanager
def file_server() -> Iterator[FileServer]:
    """Run one on a free port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            served.ranges.append(wanted)
            if served.statuses:
                self.send_error(served.statuses.pop(0))
            elif self.path not in served.files:
                self.send_error(404)
            else:
                self._send(served.files[self.path], wanted)

        def _send(self, content: bytes, wanted: str | None) -> None:
            start = (
                int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and served.has_ranges else 0
            )
            if start and start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            limit = served.break_after.pop(0) if served.break_after else len(content)
            self.wfile.write(content[start : start + limit])

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served = FileServer(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield served
        server.shutdown()
        thread.join()

"""A relay that answers some paths with faults, and passes everything else on."""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HANGING_S = 2.0
"""How long a request is left without an answer, before its connection is closed."""


@dataclass
class FaultyRelay:
    """A running relay.

    Attributes:
        url: where clients connect.
        fault: what those paths get: a status, `close`, `hang`, or None to pass them on.
        num_faults: how often a fault was given.
    """

    url: str
    fault: int | str | None = None
    num_faults: int = 0


@contextmanager
def faulty_relay(upstream: str, *begins: str) -> Iterator[FaultyRelay]:
    """Run a relay to an OpenSearch; `begins` are the beginnings of the paths that may fail."""
    found = FaultyRelay("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            self.upstream = http.client.HTTPConnection(urlsplit(upstream).netloc, timeout=60)

        def finish(self) -> None:
            self.upstream.close()
            super().finish()

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if found.fault is not None and self.path.startswith(begins):
                self.answer_fault(found.fault)
                return
            own = ("host", "connection")
            kept = {name: value for name, value in self.headers.items() if name.lower() not in own}
            self.upstream.request(self.command, self.path, body, kept)
            answer = self.upstream.getresponse()
            self.answer(answer.status, answer.read(), answer.getheader("Content-Type") or "application/json")

        def answer_fault(self, fault: int | str) -> None:
            found.num_faults += 1
            if isinstance(fault, int):
                self.answer(fault, b'{"error":{"type":"planted","reason":"by the test"},"status":0}')
                return
            if fault == "hang":
                time.sleep(HANGING_S)
            self.close_connection = True

        def answer(self, status: int, content: bytes, content_type: str = "application/json") -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815  # names that http.server asks for

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()

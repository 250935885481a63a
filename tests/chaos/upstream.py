"""An OpenSearch that misbehaves on command: real answers, but for the faults of the moment.

Each request draws its own fault. What was asked and how it was answered is kept by the caller's
`X-Opaque-Id`, so that a test can tell what OpenSearch alone would have answered.
"""

import contextlib
import http.client
import json
import random
import socket
import struct
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

FAULTS = ("slow", "reset", "reset_after", "half", "429", "503", "bad_json", "huge", "closed", "hang")
"""Late; cut before or after OpenSearch worked; half an answer; refused; no JSON; 4 MB more; silence."""

HARMLESS = frozenset({"", "slow", "huge", "closed"})
"""After these the answer is OpenSearch's own, whole."""

BAD_JSON = b'{"took":1,"timed_out":false,"_shards":{"failed":0},"hits":{"hits":[{'
_PADDING = b" " * 4_000_000


@dataclass(frozen=True)
class Asked:
    """One request that came, and the fault that it met (empty: none)."""

    target: str
    body: bytes
    fault: str


class FaultyUpstream(ThreadingHTTPServer):
    """Passes requests to OpenSearch and spoils a share of them. `kind` is the fault of now, empty: none."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, url: str, share: float = 0.3, hang_s: float = 1.0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = urlsplit(url).netloc
        self.kind = ""
        self.share, self.hang_s = share, hang_s
        self.asked: defaultdict[str, list[Asked]] = defaultdict(list)
        self.faults: Counter[str] = Counter()
        self._random = random.Random(7)
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where the proxy connects."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def draw(self, opaque_id: str, target: str, body: bytes) -> str:
        """Return the fault that a request meets, and note both."""
        with self._lock:
            fault = self.kind if self._random.random() < self.share else ""
            self.faults[fault] += bool(fault)
            if opaque_id:
                self.asked[opaque_id].append(Asked(target, body, fault))
            return fault

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: connections break here on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyUpstream

    def do_GET(self) -> None:
        body = self._body()
        fault = self.server.draw(self.headers.get("X-Opaque-Id", ""), self.path, body)
        if fault in ("429", "503"):
            reason = {"type": "es_rejected_execution_exception", "reason": "injected"}
            self._send(int(fault), json.dumps({"error": reason, "status": int(fault)}).encode())
        elif fault in ("reset", "hang"):
            time.sleep(self.server.hang_s if fault == "hang" else 0)
            self._cut()
        else:
            time.sleep(0.1 if fault == "slow" else 0)
            self._answer(fault, *self._asked_behind(body))

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET  # noqa: N815  # the names that the library calls

    def _answer(self, fault: str, status: int, content_type: str, content: bytes) -> None:
        if fault == "reset_after":
            self._cut()
        elif fault == "bad_json":
            self._send(200, BAD_JSON)
        elif fault == "half":
            self._send(status, content[: len(content) // 2], length=len(content) + 1)
            self._cut()
        else:
            padding = _PADDING if fault == "huge" and self.command != "HEAD" else b""
            self._send(status, content + padding, content_type)
            self.close_connection = self.close_connection or fault == "closed"

    def _send(
        self, status: int, content: bytes, content_type: str = "application/json", length: int | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _cut(self) -> None:
        self.wfile.flush()
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        self.close_connection = True

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        blocks = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            blocks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(blocks)

    def _asked_behind(self, body: bytes) -> tuple[int, str, bytes]:
        left_out = ("host", "connection", "transfer-encoding", "content-length", "accept-encoding")
        kept = {name: value for name, value in self.headers.items() if name.lower() not in left_out}
        connection = http.client.HTTPConnection(self.server.behind, timeout=120)
        with contextlib.closing(connection):
            connection.request(self.command, self.path, body or None, kept)
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Type") or "application/json", answer.read()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def faulty_upstream(url: str) -> Iterator[FaultyUpstream]:
    """Run one in front of an OpenSearch."""
    server = FaultyUpstream(url)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()

"""Bytes on a wire: requests that no client library would send, and an upstream that keeps what reaches it."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, cast
from urllib.parse import urlsplit

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


AFTER_AN_ANSWER_S = 0.1
"""How long another answer is waited for."""


@dataclass
class Kept:
    """An upstream: its address, and every request that it was sent, as (head, body)."""

    url: str
    requests: list[tuple[bytes, bytes]] = field(default_factory=list)

    @property
    def lines(self) -> list[bytes]:
        """The request lines, without those of the proxy's own questions."""
        return [head.split(b"\r\n")[0] for head, _ in self.clients]

    @property
    def clients(self) -> list[tuple[bytes, bytes]]:
        """The requests without the proxy's own: after settings, and the cluster's version at its start."""
        own = b"/_cluster/state/", b"filter_path=%2A.mappings._meta.rerank"
        version = b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % self.url.removeprefix("http://").encode()
        return [
            (head, body)
            for head, body in self.requests
            if head != version and not any(part in head for part in own)
        ]


def exchanged(url: str, sent: bytes, *, timeout_s: float = 30.0) -> bytes:
    """Send bytes on one connection and return what comes back: until it ends, or answers are whole.

    The sending half stays open: who closes it has gone, and is not answered.
    """
    parts = urlsplit(url)
    received = b""
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=timeout_s) as wire:
        try:
            wire.sendall(sent)
            while block := wire.recv(65536):
                received += block
                is_whole = _is_whole(received, is_head=sent.startswith(b"HEAD "))
                wire.settimeout(AFTER_AN_ANSWER_S if is_whole else timeout_s)
        except (ConnectionError, TimeoutError):  # it has answered and cut the connection, or waits for more
            pass
    return received


def _is_whole(received: bytes, *, is_head: bool) -> bool:
    """Whether these are answers, the last one with its whole body; the answer to a HEAD has none."""
    is_answered = False
    while received:
        head, end, rest = received.partition(b"\r\n\r\n")
        if end and head.startswith(b"HTTP/1.1 101"):  # another protocol follows
            return True
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        expected = int(length[1]) if length and not is_head else 0
        if not end or len(rest) < expected:
            return False
        is_answered = not head.startswith(b"HTTP/1.1 100")
        received = rest[expected:]
    return is_answered


def statuses(received: bytes) -> list[int]:
    """Return the statuses of the answers in what came back, in order."""
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3})", received)]


@contextmanager
def kept_upstream(
    answer: bytes = ANSWER, before_answer: Callable[[bytes], object] = lambda head: None
) -> Iterator[Kept]:
    """Run an upstream that answers every request alike, each once `before_answer` has returned."""
    listener = socket.create_server(("127.0.0.1", 0))
    kept = Kept(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def serve() -> None:
        while True:
            try:
                wire, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_converse, args=(wire, kept, answer, before_answer), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _converse(
    wire: socket.socket, kept: Kept, answer: bytes, before_answer: Callable[[bytes], object]
) -> None:
    with wire, cast(BinaryIO, wire.makefile("rb")) as stream:
        try:
            while head := read_head(stream):
                kept.requests.append((head, read_body(stream, head)))
                before_answer(head)
                wire.sendall(answer)
        except OSError:
            return


def read_head(stream: BinaryIO) -> bytes:
    """Read the head of a request; return none if the other side has closed."""
    lines = []
    while line := stream.readline():
        lines.append(line)
        if line == b"\r\n":
            break
    return b"".join(lines)


def read_body(stream: BinaryIO, head: bytes) -> bytes:
    """Read the body that follows a head."""
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    if length:
        return stream.read(int(length[1]))
    body = b""
    if re.search(rb"(?i)\r\ntransfer-encoding: chunked", head):
        while size := int(stream.readline() or b"0", 16):
            body += stream.read(size)
            stream.readline()
        stream.readline()
    return body

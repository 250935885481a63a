"""An upstream that gives the answers of a script, one a request, or none."""

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO

from reranker.bundle import Bundle
from tests.support.paths import TINY_BUNDLE

CLOSE = b""


NO_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
UNFINISHED = b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"
"""An answer whose body never ends; its connection stays open."""


def one_request(received: IO[bytes], bodies: list[bytes]) -> bool:
    """Read a whole request, its body into `bodies`; False where the other side has closed."""
    lines = list(iter(lambda: received.readline().strip().lower(), b""))
    lengths = [int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")]
    bodies.append(received.read(sum(lengths)))
    return bool(lines)


def _await_end(connection: socket.socket, done: threading.Event) -> None:
    """Wait until the client closes its connection, or the test is over."""
    connection.settimeout(0.05)
    while not done.is_set():
        with suppress(TimeoutError):
            if not connection.recv(1):
                return


def patience_s(answers: Sequence[bytes | None]) -> float:
    """Return a read timeout: short if one of these answers never comes or never ends, else a long one."""
    return 2.0 if None in answers or UNFINISHED in answers else 60.0


@contextmanager
def scripted(*answers: bytes | None, bodies: list[bytes] | None = None) -> Iterator[str]:
    """Run an upstream that gives these answers in turn, one a request: bytes, CLOSE, or None.

    None is no answer at all: the client gives up, however long that takes it on a busy machine.

    What it is sent is kept in `bodies`.
    """
    kept = [] if bodies is None else bodies
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        left = list(answers)
        while left:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed: the test is over
                return
            with connection, connection.makefile("rb") as received:
                while left and one_request(received, kept):
                    answer = left.pop(0)
                    if answer is None:
                        _await_end(connection, done)
                    if not answer:
                        break
                    connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    done.set()
    listener.close()


def http_answer(status: int, body: object) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return b"HTTP/1.1 %d Said\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        len(content),
        content,
    )


def index_settings(execution: str) -> bytes:
    rerank = {"model": Bundle.open(TINY_BUNDLE).name, "source_fields": ["text"], "execution": execution}
    mappings = {"_meta": {"rerank": {**rerank, "deadline_ms": 10_000}}}
    return http_answer(200, {"books": {"mappings": mappings, "settings": {"index": {"creation_date": "1"}}}})


COMPLETE = {"took": 1, "timed_out": False, "_shards": {"failed": 0}, "hits": {"hits": []}}

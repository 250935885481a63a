"""An upstream that a test writes itself: a function talks to each connection, byte by byte."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from tests.support.http.raw_wire import read_body, read_head


@dataclass
class Wire:
    """One connection of an upstream."""

    sock: socket.socket
    stream: BinaryIO
    seen: list[bytes]

    def read_request(self) -> bytes:
        """Read a request, and return it; none if the client has closed."""
        head = read_head(self.stream)
        if not head:
            return b""
        self.seen.append(head + read_body(self.stream, head))
        return self.seen[-1]

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def await_end(self, timeout_s: float = 20.0) -> bool:
        """Whether the client closes its connection in time."""
        self.sock.settimeout(timeout_s)
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return True


@dataclass
class RawUpstream:
    """Where it is, every request that was read from it whole, and how many connections there were."""

    url: str
    seen: list[bytes] = field(default_factory=list)
    num_connections: int = 0


@contextmanager
def raw_upstream(converse: Callable[[Wire], object], *, host: str = "127.0.0.1") -> Iterator[RawUpstream]:
    """Run one; `converse` is called for each connection, in a thread, and the connection ends with it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family)
    shown = f"[{host}]" if ":" in host else host
    upstream = RawUpstream(f"http://{shown}:{listener.getsockname()[1]}")
    threads: list[threading.Thread] = []

    def talk(sock: socket.socket) -> None:
        with sock, suppress(OSError), cast(BinaryIO, sock.makefile("rb")) as stream:
            converse(Wire(sock, stream, upstream.seen))

    def serve() -> None:
        with suppress(OSError):  # closed: the test is over
            while True:
                sock, _ = listener.accept()
                upstream.num_connections += 1
                threads.append(threading.Thread(target=talk, args=(sock,), daemon=True))
                threads[-1].start()

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    try:
        yield upstream
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        server.join()
        for thread in threads:
            thread.join(5)


def answering(*answers: bytes) -> Callable[[Wire], None]:
    """Return what gives these answers on a connection, one a request, and then waits for its end."""

    def converse(wire: Wire) -> None:
        for answer in answers:
            if not wire.read_request():
                return
            wire.send(answer)
        wire.await_end()

    return converse

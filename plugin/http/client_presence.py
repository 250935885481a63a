"""Whether the client that a request is answered for is still there.

A server that answers by blocking calls does not see its client close the connection. So whoever waits for
OpenSearch looks at the client's socket at the same time: where that is closed, the connection to OpenSearch
is closed too, and OpenSearch cancels the search that nobody waits for (seen on 3.8: the task is gone).
"""

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

GRACE_S = 0.25
"""How long an answer is still awaited after the client has closed its side: it may have closed that alone,
and still read, as OpenSearch would let it for as long as a quick answer takes."""

_CLOSED = getattr(select, "POLLRDHUP", 0)  # Linux; elsewhere only a reset is seen

_of_thread = threading.local()


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


@contextmanager
def present(client: socket.socket | None) -> Iterator[None]:
    """Answer this thread's request for as long as its client is there; None: it cannot go."""
    _of_thread.client = client
    try:
        yield
    finally:
        _of_thread.client = None


@contextmanager
def absent() -> Iterator[None]:
    """Finish what happens inside also where the client goes, as with a write in several steps."""
    client, _of_thread.client = getattr(_of_thread, "client", None), None
    try:
        yield
    finally:
        _of_thread.client = client


def await_readable(connection: socket.socket, timeout_s: float) -> None:
    """Wait until a connection can be read, or until this thread's client has gone.

    Where the thread answers no client, nothing is awaited here.

    Raises:
        ClientGoneError: the client closed its connection.
        TimeoutError: neither happened in time.
    """
    client: socket.socket | None = getattr(_of_thread, "client", None)
    if client is None or client.fileno() < 0:
        return
    poll, both = select.poll(), {connection.fileno(): connection, client.fileno(): client}
    poll.register(connection, select.POLLIN)
    poll.register(client, _CLOSED)
    ends_s = time.monotonic() + timeout_s
    while True:
        ready = poll.poll(max(0.0, ends_s - time.monotonic()) * 1000)
        if not ready:
            if client.fileno() in both:
                raise TimeoutError("timed out")
            raise ClientGoneError("the client closed its connection before it was answered")
        if any(file == connection.fileno() for file, _ in ready):
            return
        poll.unregister(client)
        del both[client.fileno()]
        ends_s = min(ends_s, time.monotonic() + GRACE_S)

"""What belongs to one request beside its message: its client's connection, its wait, its stages, its texts.

The proxy makes a context for each request that comes in. It travels on the request, so every step that has
the request can time itself, and can stop if the client disconnects. Nothing of it is global.
"""

import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

GRACE_S = 0.25
"""How long an answer is still awaited after the client has closed its side: it may have closed that alone,
and still read, as OpenSearch would let it for as long as a quick answer takes."""

MAX_QUERIES = 10
"""Query texts of one request that are noted."""

_CLOSED = getattr(select, "POLLRDHUP", 0)  # Linux; elsewhere only a reset is seen


class ClientDisconnectedError(Exception):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True)
class Stage:
    """A stage that has ended; times in nanoseconds since the epoch."""

    name: str
    started_ns: int
    ended_ns: int


class RequestContext:
    """The context of one request.

    Attributes:
        queued_s: how long the request waited for a thread, in seconds; deadlines count it.
        client: the client's connection; None if it cannot disconnect, or must not stop what is done for it.
        stages: those that have ended, in the order of their ends.
        query_texts: the texts that its searches are reranked by, at most MAX_QUERIES.
    """

    __slots__ = ("_started_s", "client", "query_texts", "queued_s", "stages")

    def __init__(self, queued_s: float = 0.0, client: socket.socket | None = None) -> None:
        self.queued_s, self.client = queued_s, client
        self.stages: list[Stage] = []
        self.query_texts: list[str] = []
        self._started_s = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside."""
        started_s = time.perf_counter()
        try:
            yield
        finally:
            spent_s, ended_ns = time.perf_counter() - started_s, time.time_ns()
            self.stages.append(Stage(name, ended_ns - int(spent_s * 1e9), ended_ns))

    def stages_ms(self) -> dict[str, float]:
        """Return the milliseconds of each stage, in the order in which they first ended, and `total` last.

        A stage that comes again adds up. `total` is the time since the context was made.
        """
        spent: dict[str, float] = {}
        for stage in self.stages:
            spent[stage.name] = spent.get(stage.name, 0.0) + (stage.ended_ns - stage.started_ns) / 1e6
        spent["total"] = (time.perf_counter() - self._started_s) * 1000
        return {name: round(ms, 2) for name, ms in spent.items()}

    def note_query(self, text: str) -> None:
        """Note a text that a search is to be reranked by."""
        if len(self.query_texts) < MAX_QUERIES:
            self.query_texts.append(text)

    def without_client(self) -> "RequestContext":
        """Return a context for what is finished even if the client disconnects, such as a write."""
        context = RequestContext(self.queued_s)
        context.stages, context.query_texts = self.stages, self.query_texts
        return context


def await_readable(connection: socket.socket, timeout_s: float, client: socket.socket | None) -> None:
    """Wait until a connection can be read, or until the client has disconnected.

    A server that answers by blocking calls does not see its client close the connection, so both are watched
    at the same time. The connection to OpenSearch is closed then, and OpenSearch cancels the search that
    nobody waits for (seen on 3.8: the task is gone). Without a client nothing is awaited here.

    Raises:
        ClientDisconnectedError: the client closed its connection.
        TimeoutError: neither happened in time.
    """
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
            raise ClientDisconnectedError("the client closed its connection before it was answered")
        if any(file == connection.fileno() for file, _ in ready):
            return
        poll.unregister(client)
        del both[client.fileno()]
        ends_s = min(ends_s, time.monotonic() + GRACE_S)

"""How late an event loop runs what is due: a heartbeat while requests are in flight.

A request that arrives while the loop is busy waits unseen, in the kernel. The heartbeat waits as long as it
would, so its delay is the part of a request's wait that the request itself cannot know.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

BEAT_S = 0.005
"""How often the heartbeat is due."""


class LoopLag:
    """The delay of one loop. It belongs to that loop; other threads may read `current_s`.

    Args:
        loop: the loop.
        on_beat: called with each beat's delay, in seconds.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_beat: Callable[[float], None] = lambda lag_s: None
    ) -> None:
        self._loop, self._on_beat = loop, on_beat
        self._last_s = 0.0
        self._due_s: float | None = None
        self._num_in_flight = 0

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        """Count a request; the heart beats until none is left."""
        self._num_in_flight += 1
        if self._due_s is None:
            self._schedule()
        try:
            yield
        finally:
            self._num_in_flight -= 1

    @property
    def is_beating(self) -> bool:
        """Whether a request is in flight, or was until just now."""
        return self._due_s is not None

    def current_s(self) -> float:
        """Return how late the loop is, in seconds: 0 while no request is in flight."""
        due_s = self._due_s
        return 0.0 if due_s is None else max(self._last_s, self._loop.time() - due_s)

    def _schedule(self) -> None:
        self._due_s = self._loop.time() + BEAT_S
        self._loop.call_at(self._due_s, self._beat, self._due_s)

    def _beat(self, due_s: float) -> None:
        self._last_s = max(0.0, self._loop.time() - due_s)
        self._on_beat(self._last_s)
        if self._num_in_flight:
            self._schedule()
        else:
            self._due_s, self._last_s = None, 0.0

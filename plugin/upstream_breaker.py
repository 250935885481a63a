"""Stops widening searches of a target for a while where OpenSearch keeps refusing the widened ones."""

import threading
import time
from collections.abc import Callable

from cachetools import LRUCache

MAX_FAILURES = 5
"""Widened searches that fail in a row before the next ones are passed through."""

PAUSE_S = 10.0
"""How long they are; then one is tried again."""

_MAX_TARGETS = 10_000


class UpstreamBreaker:
    """Counts failures in a row, a target."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: LRUCache[str, tuple[int, float]] = LRUCache(_MAX_TARGETS)
        self._lock = threading.Lock()
        self._open: set[str] = set()
        self.on_change: Callable[[int, bool], None] = lambda num_open, tripped: None

    def is_open(self, target: str) -> bool:
        """Whether searches of a target are passed through now; where the pause is over, one may try."""
        with self._lock:
            failures, since_s = self._failures.get(target, (0, 0.0))
            if failures < MAX_FAILURES:
                return False
            if self._clock() - since_s < PAUSE_S:
                return True
            self._failures[target] = failures, self._clock()  # the others wait for what this one finds
            return False

    def failed(self, target: str) -> None:
        """Note that a widened search failed."""
        with self._lock:
            failures, _ = self._failures.get(target, (0, 0.0))
            self._failures[target] = failures + 1, self._clock()
            if failures + 1 >= MAX_FAILURES and target not in self._open:
                self._open = {each for each in self._open if each in self._failures} | {target}
                self.on_change(len(self._open), True)

    def succeeded(self, target: str) -> None:
        """Note that one was answered."""
        with self._lock:
            self._failures.pop(target, None)
            if target in self._open:
                self._open.discard(target)
                self.on_change(len(self._open), False)

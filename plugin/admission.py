"""Whether a search is reranked at all, by what reranking has added to the last ones.

Where more searches come than can be reranked, each waits for threads and processors, which no single queue
shows; so what counts is what came of it: a search's time from arrival to answer, less OpenSearch's own.
Where that is longer than it may be, fewer are reranked, and as time goes by all of them again: multiplicative
decrease on each late one, increase with the clock, as TCP does for a network (Chiu and Jain, 1989).
"""

import random
import re
import threading
import time
from collections.abc import Callable

LATE_S = 0.05
"""What reranking may add at least before it is late, however short a deadline is."""

DECREASE = 0.9
INCREASE_PER_S = 0.2
LEAST = 0.02
"""The share of searches that is always reranked, so that it is seen when there is room again."""

_NETWORK_CREEP = 1.01
_TOOK = re.compile(rb'\s*\{\s*"took"\s*:\s*(\d+)')


class Admission:
    """One worker's."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, seed: int | None = None) -> None:
        self._clock = clock
        self._draw = random.Random(seed)
        self._share, self._since_s = 1.0, clock()
        self._network_s = float("inf")
        self._lock = threading.Lock()

    @property
    def share(self) -> float:
        """The share of searches that is reranked now."""
        with self._lock:
            return self._recovered()

    def admits(self) -> bool:
        """Whether one more search is reranked."""
        share = self.share
        return share >= 1.0 or self._draw.random() < share

    def answered(self, total_s: float, asked_s: float, body: bytes, deadline_s: float) -> None:
        """Note a reranked search.

        Args:
            total_s: from its arrival to its answer.
            asked_s: of that, while OpenSearch was asked.
            body: OpenSearch's answer, which begins with how long it took.
            deadline_s: what reranking may add.
        """
        found = _TOOK.match(body)
        own_s = int(found[1]) / 1000 if found else asked_s
        with self._lock:
            self._network_s = min(max(0.0, asked_s - own_s), self._network_s * _NETWORK_CREEP)
            added_s = total_s - own_s - self._network_s
            share = self._recovered()
            if added_s > max(deadline_s, LATE_S):
                self._share = max(LEAST, share * DECREASE)

    def _recovered(self) -> float:
        now_s = self._clock()
        self._share = min(1.0, self._share + (now_s - self._since_s) * INCREASE_PER_S)
        self._since_s = now_s
        return self._share

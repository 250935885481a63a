"""How many searches are reranked at once, by what reranking has added to the last ones.

Where more searches come than can be reranked, each waits for threads and processors, which no single queue
shows; so what counts is what came of it: a search's time from arrival to answer, less OpenSearch's own. Once
that is longer than it may be, only so many are reranked at a time, and what comes meanwhile is passed
through: work that is begun one after another keeps its pace, while a share of all that comes would grow with
the load. The number falls by a factor with each late search and rises with the clock, as TCP's window does
for a network (Chiu and Jain, 1989).
"""

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LATE_S = 0.025
"""What reranking may add at least before it is late, however short a deadline is."""

SHARE_OF_DEADLINE = 0.5
"""Late is what has used up so much of its deadline: the slowest hundredth is then near the whole of it."""

TIMES_THE_QUICKEST = 3.0
"""On a machine that takes long with one search alone, late is what takes so many times as long."""

WAITED_S = 0.002
"""Where so many are reranked at once, a search that has waited so many times this for a thread is not."""

DECREASE = 0.7
PAUSE_S = 0.2
"""Searches that are late together lower the limit once."""

INCREASE_PER_S = 0.2
LEAST_INCREASE_PER_S = 0.16
MOST = 8.0
"""Where the limit has risen to this, there is none."""

LEAST = 0.1
"""A limit below one is the chance of a search that finds no other under way: some are tried always."""

_CREEP = 1.01
"""The quickest time that was seen counts that much less with each search since."""

_LEAST_S = 0.001

_TOOK = re.compile(rb'\s*\{\s*"took"\s*:\s*(\d+)')


class Admission:
    """One worker's."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, seed: int | None = None) -> None:
        self._clock = clock
        self._draw = random.Random(seed)
        self._limit, self._since_s, self._lowered_s = MOST, clock(), float("-inf")
        self._reordering = 0
        self._network_s = self._quickest_s = float("inf")
        self._lock = threading.Lock()

    @property
    def limit(self) -> float | None:
        """How many are reranked at once now; None: as many as come."""
        with self._lock:
            limit = self._recovered()
        return None if limit >= MOST else limit

    def admits(self, waited_s: float = 0.0, num_encoding: int = 0) -> bool:
        """Whether one more search is reranked.

        Args:
            waited_s: how long it has waited for a thread.
            num_encoding: how many queries are at the encoder or wait for it.
        """
        limit = self.limit
        if limit is None:
            return True
        if waited_s > WAITED_S * limit or self._reordering + num_encoding >= max(1.0, limit):
            return False
        return limit >= 1.0 or self._draw.random() < limit

    @contextmanager
    def reordering(self) -> Iterator[None]:
        """Count an answer that is reordered inside."""
        with self._lock:
            self._reordering += 1
        try:
            yield
        finally:
            with self._lock:
                self._reordering -= 1

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
            self._network_s = min(max(0.0, asked_s - own_s), self._network_s * _CREEP)
            added_s = total_s - own_s - self._network_s
            self._quickest_s = min(max(_LEAST_S, added_s), self._quickest_s * _CREEP)
            usual_s = TIMES_THE_QUICKEST * self._quickest_s
            if added_s > max(LATE_S, SHARE_OF_DEADLINE * deadline_s, usual_s):
                self._lower()

    def _lower(self) -> None:
        limit = self._recovered()
        if self._since_s - self._lowered_s >= PAUSE_S:
            self._limit, self._lowered_s = max(LEAST, limit * DECREASE), self._since_s

    def _recovered(self) -> float:
        now_s = self._clock()
        per_s = self._limit * INCREASE_PER_S + LEAST_INCREASE_PER_S
        self._limit = min(MOST, self._limit + (now_s - self._since_s) * per_s)
        self._since_s = now_s
        return self._limit

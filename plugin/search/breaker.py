"""Stops widening searches of one kind for a while if OpenSearch keeps refusing the widened ones.

A kind is a caller, a target, and the names that the search is made of. So one caller's odd searches stop
nobody else's, and not even that caller's plain ones.
"""

import threading
import time
from collections.abc import Callable

from cachetools import LRUCache

from opensearch.search.request import SearchRequest
from plugin.http.caller import select_identity
from plugin.http.headers import Headers
from plugin.http.messages import Request

MAX_FAILURES = 5
"""Widened searches that fail in a row before the next ones are passed through."""

PAUSE_S = 10.0
"""How long they are; then one is tried again."""

_MAX_KINDS = 10_000

Kind = tuple[str, Headers, frozenset[str]]
"""A search's path, its caller, and the names of its parameters and of its body's members."""


def find_kind(request: Request, search: SearchRequest) -> Kind:
    """Return the kind of a search, as its caller's request brought it."""
    return search.path, select_identity(request), frozenset(search.parameters) | frozenset(search.body)


class UpstreamBreaker:
    """Counts failures in a row, by kind."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: LRUCache[Kind, tuple[int, float]] = LRUCache(_MAX_KINDS)
        self._lock = threading.Lock()
        self._open: set[Kind] = set()
        self.on_change: Callable[[int, bool], None] = lambda num_open, tripped: None

    def is_open(self, kind: Kind) -> bool:
        """Whether searches of a kind are passed through now; once the pause is over, one may try."""
        with self._lock:
            failures, since_s = self._failures.get(kind, (0, 0.0))
            if failures < MAX_FAILURES:
                return False
            if self._clock() - since_s < PAUSE_S:
                return True
            self._failures[kind] = failures, self._clock()  # the others wait for what this one finds
            return False

    def record_failure(self, kind: Kind) -> None:
        """Record that a widened search failed."""
        with self._lock:
            failures, _ = self._failures.get(kind, (0, 0.0))
            self._failures[kind] = failures + 1, self._clock()
            if failures + 1 >= MAX_FAILURES and kind not in self._open:
                self._open = {each for each in self._open if each in self._failures} | {kind}
                self.on_change(len(self._open), True)

    def record_success(self, kind: Kind) -> None:
        """Record that a widened search was answered."""
        with self._lock:
            self._failures.pop(kind, None)
            if kind in self._open:
                self._open.discard(kind)
                self.on_change(len(self._open), False)

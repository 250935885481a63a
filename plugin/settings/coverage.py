"""How far indices are covered with vectors, counted beside the searches that ask for it."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec
from cachetools import LRUCache

from plugin.errors import UpstreamError
from plugin.http.headers import Headers
from plugin.upstream.client import Upstream

FRESH_S = 10.0
"""A count younger than this is used as it is; an older one is used while it is made again."""

MAX_ENTRIES = 1_000


class _Count(msgspec.Struct):
    count: int


_COUNT = msgspec.json.Decoder(_Count)


@dataclass
class _CachedShare:
    covered: float | None = None
    counted_s: float = float("-inf")
    is_counting: bool = False


class CoverageCache:
    """Counts as the caller, in the background: no search waits, and the first one gets None.

    With `waits` the first one waits, as commands do, which report the real figure.
    """

    def __init__(
        self, upstream: Upstream, clock: Callable[[], float] = time.monotonic, *, waits: bool = False
    ) -> None:
        self._upstream = upstream
        self._waits = waits
        self._clock = clock
        self._entries: LRUCache[tuple[str, str, Headers], _CachedShare] = LRUCache(MAX_ENTRIES)
        self._lock = threading.Lock()
        self._counter = ThreadPoolExecutor(1, thread_name_prefix="coverage")

    def find_share(self, indices: str, field: str, caller: Headers) -> float | None:
        """Return the share of the documents, 0 to 1, with a value in `field`; None if it is not known yet.

        `indices` is the raw index part of a path, `caller` the headers that say who asks.
        """
        key = indices, field, caller
        with self._lock:
            entry = self._entries.setdefault(key, _CachedShare())
            if not entry.is_counting and self._clock() - entry.counted_s >= FRESH_S:
                entry.is_counting = True
                counting = self._counter.submit(self._refresh, key, entry)
                if self._waits:
                    counting.result()
            return entry.covered

    def _refresh(self, key: tuple[str, str, Headers], entry: _CachedShare) -> None:
        indices, field, caller = key
        try:
            documents = self._count_documents(indices, None, caller)
            with_vector = self._count_documents(indices, field, caller)
            entry.covered = with_vector / documents if documents else 1.0
        except (UpstreamError, ValueError):  # unknown is not enough: searches say so until it is known
            entry.covered = None
        entry.counted_s = self._clock()
        entry.is_counting = False

    def _count_documents(self, indices: str, field: str | None, caller: Headers) -> int:
        query = {"match_all": {}} if field is None else {"exists": {"field": field}}
        headers = (*caller, ("Content-Type", "application/json"))
        target = f"/{indices}/_count" if indices else "/_count"
        response = self._upstream.exchange("POST", target, headers, msgspec.json.encode({"query": query}))
        return _COUNT.decode(response.body).count

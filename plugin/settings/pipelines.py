"""Definitions of search pipelines, so that a search seldom waits for one.

They are looked up in the poller's view of the cluster. If it has none, because nothing is polled or the
service account may not read them, OpenSearch is asked as the caller and the response is kept for a while.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec
from cachetools import LRUCache

from opensearch.settings.search_pipeline import SearchPipeline, pipeline_target, read_pipelines
from plugin.errors import UpstreamError
from plugin.http.headers import Headers
from plugin.settings.cluster_view import ClusterView
from plugin.upstream.client import Upstream

FRESH_S = 1.0
"""A definition younger than this is used as it is; an older one is used once more while it is read again."""

STALE_S = 30.0
"""A definition older than this is not used: the search waits for the new one."""

MAX_ENTRIES = 1_000

Key = tuple[str, Headers]

_UNKNOWN = SearchPipeline()
_log = logging.getLogger("twinrank.settings")


@dataclass
class _CachedPipeline:
    pipeline: SearchPipeline
    read_s: float
    is_refreshing: bool = False


class PipelineCache:
    """Looks definitions up, in the view or with the caller's own credentials, one entry a caller and name."""

    def __init__(
        self,
        upstream: Upstream,
        view: Callable[[], ClusterView | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstream = upstream
        self._view = view
        self._clock = clock
        self._entries: LRUCache[Key, _CachedPipeline] = LRUCache(MAX_ENTRIES)
        self._lock = threading.Lock()
        self._refresher = ThreadPoolExecutor(1, thread_name_prefix="pipelines")

    def find(self, name: str, caller: Headers) -> SearchPipeline:
        """Return what a pipeline does; one that cannot be read, or is not there, counts as unknown."""
        view = self._view()
        if view is not None and view.pipelines is not None:
            return view.pipelines.get(name, _UNKNOWN)
        return self._find_cached((name, caller))

    def clear(self) -> None:
        """Forget everything that was read before now."""
        with self._lock:
            self._entries.clear()

    def _find_cached(self, key: Key) -> SearchPipeline:
        with self._lock:
            entry = self._entries.get(key)
            age_s = STALE_S if entry is None else self._clock() - entry.read_s
            is_due = entry is not None and FRESH_S <= age_s < STALE_S and not entry.is_refreshing
            if entry is not None and is_due:
                entry.is_refreshing = True
        if entry is None or age_s >= STALE_S:
            return self._read(key)
        if is_due:
            self._refresher.submit(self._read, key)
        return entry.pipeline

    def _read(self, key: Key) -> SearchPipeline:
        started_s = self._clock()
        found = self._ask(*key)
        with self._lock:
            self._entries[key] = _CachedPipeline(found, started_s)
        return found

    def _ask(self, name: str, caller: Headers) -> SearchPipeline:
        try:
            response = self._upstream.exchange("GET", pipeline_target(name), caller)
            return read_pipelines(response.body).get(name, _UNKNOWN) if response.status == 200 else _UNKNOWN
        except (UpstreamError, msgspec.DecodeError) as error:
            _log.info("the search pipeline %s was not read: %s", name, error)
            return _UNKNOWN

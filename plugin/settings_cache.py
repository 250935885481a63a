"""The settings of the indices that are searched, kept for a moment so that a search seldom waits for them."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cachetools import LRUCache

from opensearch.index_settings import EXPANSION_PARAMETERS, resolve_settings, settings_target
from opensearch.search_plan import Skip
from opensearch.search_request import SearchRequest
from opensearch.settings import RerankSettings
from plugin.http_messages import Headers, Request
from plugin.upstream import Upstream

FRESH_S = 1.0
"""An entry younger than this is used as it is; an older one is used once more while it is fetched again."""

STALE_S = 30.0
"""An entry older than this is not used: the search waits for the new one."""

MAX_ENTRIES = 10_000


@dataclass
class _Entry:
    settings: RerankSettings | Skip
    fetched_s: float
    is_refreshing: bool = False


class SettingsCache:
    """Looks settings up as the caller, with the caller's own credentials, one entry a caller and target."""

    def __init__(self, upstream: Upstream, clock: Callable[[], float] = time.monotonic) -> None:
        self._upstream = upstream
        self._clock = clock
        self._entries: LRUCache[tuple[str, str], _Entry] = LRUCache(MAX_ENTRIES)
        self._lock = threading.Lock()
        self._refresher = ThreadPoolExecutor(1, thread_name_prefix="settings")

    def of(self, request: Request, search: SearchRequest) -> RerankSettings | Skip:
        """Return the settings for a search's target indices, or why it is passed through.

        Raises:
            UpstreamError: there is no usable entry and OpenSearch cannot be asked.
        """
        authorization = request.header("authorization")
        target = settings_target(_index_path(search.path), _expansion(search))
        key = target, authorization
        with self._lock:
            entry = self._entries.get(key)
        age_s = self._clock() - entry.fetched_s if entry is not None else STALE_S
        if entry is None or age_s >= STALE_S:
            return self._fetch(key)
        if age_s >= FRESH_S:
            self._refresh(key, entry)
        return entry.settings

    def _refresh(self, key: tuple[str, str], entry: _Entry) -> None:
        with self._lock:
            if entry.is_refreshing:
                return
            entry.is_refreshing = True
        self._refresher.submit(self._fetch, key)

    def _fetch(self, key: tuple[str, str]) -> RerankSettings | Skip:
        target, authorization = key
        headers: Headers = (("Authorization", authorization),) if authorization else ()
        started_s = self._clock()
        answer = self._upstream.exchange("GET", target, headers)
        settings = resolve_settings(answer.body) if answer.status == 200 else Skip("not_enabled")
        with self._lock:
            self._entries[key] = _Entry(settings, started_s)
        return settings


def _index_path(path: str) -> str:
    """`/INDICES/_search` -> `INDICES`, raw."""
    return path.rpartition("/")[0].strip("/")


def _expansion(search: SearchRequest) -> dict[str, str]:
    return {name: search.parameters[name] for name in EXPANSION_PARAMETERS if name in search.parameters}

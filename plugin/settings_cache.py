"""The settings of the indices that are searched, kept for a moment so that a search seldom waits for them."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cachetools import LRUCache

from opensearch.index_settings import EXPANSION_PARAMETERS, resolve_target, settings_target
from opensearch.target import Skip, Target
from plugin.http_messages import Headers, Request
from plugin.upstream import Upstream

FRESH_S = 1.0
"""An entry younger than this is used as it is; an older one is used once more while it is fetched again."""

STALE_S = 30.0
"""An entry older than this is not used: the search waits for the new one."""

MAX_ENTRIES = 10_000


@dataclass
class _Entry:
    target: Target
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

    def of(self, request: Request, indices: str, parameters: Mapping[str, str]) -> Target:
        """Return what the indices of an expression, as it stands in a path, say to the request's caller.

        Raises:
            UpstreamError: there is no usable entry and OpenSearch cannot be asked.
        """
        authorization = request.header("authorization")
        expansion = {name: parameters[name] for name in EXPANSION_PARAMETERS if name in parameters}
        target = settings_target(indices, expansion)
        key = target, authorization
        with self._lock:
            entry = self._entries.get(key)
        age_s = self._clock() - entry.fetched_s if entry is not None else STALE_S
        if entry is None or age_s >= STALE_S:
            return self._fetch(key)
        if age_s >= FRESH_S:
            self._refresh(key, entry)
        return entry.target

    def _refresh(self, key: tuple[str, str], entry: _Entry) -> None:
        with self._lock:
            if entry.is_refreshing:
                return
            entry.is_refreshing = True
        self._refresher.submit(self._fetch, key)

    def _fetch(self, key: tuple[str, str]) -> Target:
        target, authorization = key
        headers: Headers = (("Authorization", authorization),) if authorization else ()
        started_s = self._clock()
        answer = self._upstream.exchange("GET", target, headers)
        found = resolve_target(answer.body) if answer.status == 200 else Target(Skip("not_enabled"))
        with self._lock:
            self._entries[key] = _Entry(found, started_s)
        return found

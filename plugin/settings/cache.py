"""The settings of the indices that are searched, so that a search seldom waits for them.

Plain names are looked up in the poller's view of the whole cluster, if there is one. For patterns, and for
everything if nothing is polled, OpenSearch is asked as the caller and the response is kept: what a pattern
matches depends on what its caller may see.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO

from cachetools import LRUCache

from opensearch.settings.layers import Defaults
from opensearch.settings.skip import Skip
from opensearch.settings.table import RerankSettings
from opensearch.settings.target import (
    EXPANSION_PARAMETERS,
    Target,
    find_problems,
    read_records,
    resolve_target,
    settings_target,
)
from plugin.http.caller import select_identity
from plugin.http.headers import Headers
from plugin.http.messages import Request
from plugin.settings.cluster_view import ClusterView
from plugin.settings.coverage import CoverageCache
from plugin.settings.pipelines import PipelineCache
from plugin.settings.poller import SettingsPoller
from plugin.settings.rule_documents import RuleDocuments
from plugin.upstream.client import Upstream

FRESH_S = 1.0
"""An entry younger than this is used as it is; an older one is used once more while it is fetched again."""

STALE_S = 30.0
"""An entry older than this is not used: the search waits for the new one."""

MAX_ENTRIES = 10_000

INVALIDATED_S = 5.0
"""How long a view is not used, at most, after a change through this worker: the next view includes it."""

REFRESHED_AT_ONCE = 100
"""Entries, the last used, that are fetched again when the cluster has changed."""

_log = logging.getLogger("twinrank.settings")


@dataclass
class _CachedTarget:
    target: Target
    fetched_s: float
    is_refreshing: bool = False


class SettingsCache:
    """Looks settings up, in the view or with the caller's own credentials, one entry a caller and target."""

    def __init__(
        self,
        upstream: Upstream,
        poller: SettingsPoller | None = None,
        defaults: Defaults | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        waits_for_coverage: bool = False,
    ) -> None:
        self._upstream = upstream
        self._poller = poller
        self.defaults = defaults or {}
        self.waits = waits_for_coverage
        self._clock = clock
        self._coverage = CoverageCache(upstream, clock, waits=waits_for_coverage)
        self._entries: LRUCache[tuple[str, Headers], _CachedTarget] = LRUCache(MAX_ENTRIES)
        self._lock = threading.Lock()
        self._refresher = ThreadPoolExecutor(1, thread_name_prefix="settings")
        self._rules = RuleDocuments(upstream, self._refresher, clock)
        self._listeners: list[Callable[[], None]] = []
        self._invalidated: ClusterView | None = None
        self._invalidated_until_s = 0.0
        self._pipelines = PipelineCache(upstream, self._view, clock)
        self.add_listener(self._pipelines.clear)
        if poller is not None:
            poller.on_change = self._refresh_all

    @property
    def upstream(self) -> Upstream:
        """The OpenSearch whose settings these are."""
        return self._upstream

    @property
    def poller(self) -> SettingsPoller | None:
        """What follows the cluster; None if nothing does."""
        return self._poller

    def find_target(self, request: Request, indices: str, parameters: Mapping[str, str]) -> Target:
        """Return the settings of the indices of a path's expression, as the request's caller sees them.

        Raises:
            UpstreamError: there is no usable entry and OpenSearch cannot be asked.
        """
        caller = select_identity(request)
        expansion = {name: parameters[name] for name in EXPANSION_PARAMETERS if name in parameters}
        target = self._find(indices, expansion, caller, request.context.client)
        if target.rule_documents:
            reader = caller if self._poller is None else self._poller.headers
            target = self._rules.complete(target, reader, request.context.client)
        settings = target.settings
        if isinstance(settings, RerankSettings) and settings.min_coverage > 0:
            covered = self._coverage.find_share(indices, settings.field, caller)
            if covered is None or covered < settings.min_coverage:
                return replace(target, settings=Skip("coverage"))
        return target

    def find_target_as(self, indices: str, headers: Headers) -> Target:
        """Return the settings as the user that these headers name sees them, without the check of coverage.

        Raises:
            UpstreamError: as `find_target`.
        """
        caller = select_identity(Request("GET", f"/{indices}", headers, BytesIO(), 0))
        return self._find_cached((settings_target(indices, {}), caller))

    def define_pipelines(self, target: Target, names: Iterable[str], headers: Headers) -> Target:
        """Return the target with the definitions of these search pipelines, `headers` being the caller's."""
        caller = select_identity(Request("GET", "/", headers, BytesIO(), 0))
        found = {name: self._pipelines.find(name, caller) for name in names}
        return replace(target, definitions={**target.definitions, **found}) if found else target

    def are_shown(self, request: Request, indices: str) -> bool:
        """Whether OpenSearch shows the request's caller settings of the indices.

        Raises:
            UpstreamError: as `find_target`.
        """
        return self.find_target_as(indices, request.headers).is_ours

    def invalidate(self) -> None:
        """Invalidate everything that was read before now, since a change went through this worker."""
        with self._lock:
            self._entries.clear()
            self._invalidated = self._poller.view() if self._poller else None
            self._invalidated_until_s = self._clock() + INVALIDATED_S
        for listener in self._listeners:
            listener()

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each change that went through this worker or that the poller has seen."""
        self._listeners.append(listener)

    def _find(
        self, indices: str, expansion: dict[str, str], caller: Headers, client: socket.socket | None
    ) -> Target:
        view = None if expansion else self._view()
        target = view.find_target(indices) if view else None
        if target is None:
            return self._find_cached((settings_target(indices, expansion), caller), client)
        return target

    def _view(self) -> ClusterView | None:
        view = self._poller.view() if self._poller else None
        is_invalidated = view is self._invalidated and self._clock() < self._invalidated_until_s
        return None if is_invalidated else view

    def _find_cached(self, key: tuple[str, Headers], client: socket.socket | None = None) -> Target:
        with self._lock:
            entry = self._entries.get(key)
        age_s = self._clock() - entry.fetched_s if entry is not None else STALE_S
        if entry is None or age_s >= STALE_S:
            return self._fetch(key, client)
        if age_s >= FRESH_S:
            self._refresh(key, entry)
        return entry.target

    def _refresh(self, key: tuple[str, Headers], entry: _CachedTarget) -> None:
        with self._lock:
            if entry.is_refreshing:
                return
            entry.is_refreshing = True
        self._refresher.submit(self._fetch, key)

    def _refresh_all(self) -> None:
        """Fetch what was used lately again, since the poller has seen a change."""
        for listener in self._listeners:
            listener()
        with self._lock:
            used = list(self._entries.items())[-REFRESHED_AT_ONCE:]
        for key, entry in used:
            if self._clock() - entry.fetched_s < STALE_S:
                self._refresh(key, entry)

    def _fetch(self, key: tuple[str, Headers], client: socket.socket | None = None) -> Target:
        target, headers = key
        started_s = self._clock()
        response = self._upstream.exchange("GET", target, headers, client=client)
        is_found = response.status == 200
        found = resolve_target(response.body, self.defaults) if is_found else Target(Skip("not_enabled"))
        with self._lock:
            before = self._entries.get(key)
            if before is not None and before.target == found:
                found = before.target  # so that what was made ready for it is found again
            self._entries[key] = _CachedTarget(found, started_s)
        if found.settings == Skip("settings") and (before is None or before.target != found):
            self._log_problems(response.body)
        return found

    def _log_problems(self, body: bytes) -> None:
        for name, problem in find_problems(read_records(body), self.defaults).items():
            _log.error("%s is not reranked, reason=settings: %s", name, problem)

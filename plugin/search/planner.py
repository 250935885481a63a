"""What becomes of one search: its indices' settings, and the plan that they and the request make."""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import unquote

import msgspec

from opensearch.search.plan import Plan, plan_search
from opensearch.search.point_in_time import read_indices
from opensearch.search.request import SearchRequest
from opensearch.settings.table import RerankSettings
from opensearch.settings.target import Skip, Target
from plugin.encoding.model import Model
from plugin.http.caller import identity
from plugin.http.messages import Request
from plugin.search.breaker import UpstreamBreaker, kind_of
from plugin.search.cluster import has_script
from plugin.settings.cache import SettingsCache
from plugin.settings.languages import LanguageCache
from plugin.telemetry.request_notes import note_query


class SearchPlanner:
    """Plans searches for one model; those of one caller are planned with what the caller may see."""

    def __init__(self, settings: SettingsCache, model: Model) -> None:
        self._settings = settings
        self._model = model
        scripts = model.scripts
        self._languages = (
            None if scripts is None else LanguageCache(settings.upstream, scripts, waits=settings.waits)
        )
        self._no_script = None if has_script(model) else "crossing"
        self.breaker = UpstreamBreaker()

    def target(self, request: Request, indices: str, search: SearchRequest | Skip) -> Target:
        """Return what the indices say of which a search speaks, `indices` as they stand in a path.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        parameters = {} if isinstance(search, Skip) else search.parameters
        if not isinstance(search, Skip) and "pit" in search.body:
            behind = _behind_the_point_in_time(search)
            return Target(Skip("pit")) if behind is None else self._target(request, behind, parameters)
        local = ",".join(name for name in indices.split(",") if not _is_remote(name))
        if local == indices:
            return self._target(request, local, parameters)
        remote = Skip("remote_indices")
        if not local:
            return Target(remote)
        return replace(self._settings.find_target(request, local, parameters), settings=remote)

    def _target(self, request: Request, indices: str, parameters: Mapping[str, str]) -> Target:
        target = self._settings.find_target(request, indices, parameters)
        settings = target.settings
        if self._languages is None or not isinstance(settings, RerankSettings) or settings.languages == "any":
            return target
        caller, fields = identity(request), settings.source_fields
        if self._languages.are_unreadable(indices, fields, caller):
            return replace(target, settings=Skip("language"))
        return target

    def shows(self, request: Request, indices: str) -> bool:
        """Whether the caller may see the settings of indices, `indices` as they stand in a path.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        return self._settings.are_shown(request, indices)

    def plan(
        self, request: Request, search: SearchRequest | Skip, target: Target, *, fallback: str | None = None
    ) -> Plan | Skip:
        """Plan a request's search on indices; `fallback` says why it cannot be rescored in the cluster.

        Raises:
            InvalidError: `ext.rerank` is not what it must be.
        """
        if isinstance(search, Skip):
            return search
        plan = plan_search(
            search, _for_model(target, self._model.vectors_of), fallback=self._no_script or fallback
        )
        if isinstance(plan, Skip):
            return plan
        forward = plan.request if plan.request != search else None
        if plan.settings.model != self._model.vectors_of:
            return Skip("model", forward)
        if plan.settings.languages != "any" and not self._model.reads(plan.query_text):
            return Skip("language", forward)
        note_query(plan.query_text)
        is_stopped = self.breaker.is_open(kind_of(request, plan.request))
        return Skip("upstream", forward) if is_stopped else plan


def _for_model(target: Target, model: str) -> Target:
    """Return the target with the settings of this bundle's field: a change of model has two."""
    settings = target.settings if isinstance(target.settings, Skip) else target.settings.for_model(model)
    return target if settings is None else replace(target, settings=settings)


def _is_remote(name: str) -> bool:
    """Whether an index's name, as it stands in a path, names another cluster; date math has colons too."""
    plain = unquote(name)
    return ":" in plain and not plain.lstrip("-").startswith("<")


def _behind_the_point_in_time(search: SearchRequest) -> str | None:
    try:
        return read_indices(search.member("pit"))
    except (msgspec.DecodeError, RecursionError):
        return None

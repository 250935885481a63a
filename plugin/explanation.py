"""One search step by step, answered by the same door as every search: settings, text, scores, order."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import msgspec

from opensearch.client import path_of
from opensearch.endpoints import Api, Endpoint
from opensearch.reasons import reason_of
from opensearch.settings import RerankSettings, SettingsError
from opensearch.settings_report import SettingsReport
from opensearch.target import Target
from plugin.errors import UpstreamError
from plugin.http_messages import Answer, Headers, Request
from plugin.model import Model
from plugin.search_door import SearchDoor
from plugin.search_planner import SearchPlanner
from plugin.settings_cache import SettingsCache
from plugin.upstream import Upstream


class AnsweredError(UpstreamError):
    """OpenSearch answered with an error, which its own status says."""

    type_name = "upstream_answered_exception"

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


@dataclass(frozen=True)
class Asked:
    """What to explain: a search's body, or a text that is looked for in the source fields."""

    indices: str
    body: dict[str, Any] | None = None
    text: str | None = None
    size: int = 10

    def search(self, target: Target) -> dict[str, Any]:
        """Return the search's body.

        Raises:
            SettingsError: neither a body nor a text was given.
        """
        if self.body is not None:
            return self.body
        if not self.text:
            raise SettingsError("expected a search as body, or `?text=...`, found neither")
        settings = target.settings
        fields = {"fields": list(settings.source_fields)} if isinstance(settings, RerankSettings) else {}
        return {"query": {"multi_match": {"query": self.text, **fields}}, "size": self.size}


def search_door(upstream: Upstream, settings: SettingsCache, model: Model) -> SearchDoor:
    """Return the door that searches go through, for searches that are to be looked at."""
    return SearchDoor(upstream, SearchPlanner(settings, model), model)


def explain(
    door: SearchDoor,
    settings: SettingsCache,
    headers: Headers,
    asked: Asked,
    reports: Sequence[SettingsReport],
) -> dict[str, Any]:
    """Return every step of the search as plain JSON values.

    `headers` are the caller's own: what they may not read is not shown. `reports` are the settings of the
    indices, with where each comes from.

    Raises:
        AnsweredError: OpenSearch, or the proxy with `on_failure: error`, answers with an error.
        UpstreamError: OpenSearch cannot be asked.
        SettingsError: nothing was asked.
        AddressError: no name of an index.
    """
    target = settings.of_indices(path_of(asked.indices)[1:], headers)
    search = asked.search(target)
    found, status, timing = _searched(
        door, headers, asked.indices, _with_details(search) if takes_ext(target) else search
    )
    return {
        "search": search,
        "settings": {report.index: report.as_json() for report in reports},
        "rerank_status": status,
        "server_timing": timing,
        "used": found.get("ext", {}).get("rerank"),
        "hits": [_hit(hit) for hit in found.get("hits", {}).get("hits", [])],
    }


def takes_ext(target: Target) -> bool:
    """Whether `ext.rerank` of a search on this target is read here; else OpenSearch would refuse it."""
    settings = target.settings
    allowed = settings.pipelines_allowed if isinstance(settings, RerankSettings) else ()
    return target.is_ours and not target.pipelines.difference(allowed)


def answered_search(
    door: SearchDoor, headers: Headers, indices: str, search: dict[str, Any]
) -> tuple[dict[str, Any], str]:
    """Send one search through the door, and return the decoded answer and its `Rerank-Status`.

    Raises:
        AnsweredError, UpstreamError, AddressError: as `explain`.
    """
    found, status, _ = _searched(door, headers, indices, search)
    return found, status


def _searched(
    door: SearchDoor, headers: Headers, indices: str, search: dict[str, Any]
) -> tuple[dict[str, Any], str, str]:
    path, body = path_of(indices), msgspec.json.encode(search)
    sent = (*headers, ("Content-Type", "application/json"))
    request = Request("POST", f"{path}/_search", sent, BytesIO(body), len(body))
    answer = door.answer(request, Endpoint(Api.SEARCH, path[1:]))
    told = {name.lower(): value for name, value in answer.headers}
    return _decoded(answer), told.get("rerank-status", ""), told.get("server-timing", "")


def _with_details(search: dict[str, Any]) -> dict[str, Any]:
    ext = search.get("ext", {})
    rerank = ext.get("rerank", {}) if isinstance(ext, dict) else None
    if not isinstance(rerank, dict):
        return search  # it is refused as it stands
    return search | {"ext": {**ext, "rerank": {**rerank, "explain": True}}}


def _decoded(answer: Answer) -> dict[str, Any]:
    content = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
    found: dict[str, Any] = msgspec.json.decode(content)
    if answer.status != 200:
        raise AnsweredError(answer.status, reason_of(found.get("error")))
    return found


def _hit(hit: dict[str, Any]) -> dict[str, Any]:
    shown = {name: hit.get(name) for name in ("_index", "_id", "_score")}
    return {**shown, "rerank": hit.get("_rerank")}

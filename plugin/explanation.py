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
from plugin.search_door import SearchDoor
from plugin.settings_cache import SettingsCache


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
    path = path_of(asked.indices)
    target = settings.of(_request(path, headers, b""), path[1:], {})
    search = asked.search(target)
    sent = msgspec.json.encode(_with_details(search) if target.is_ours else search)
    answer = door.answer(_request(f"{path}/_search", headers, sent), Endpoint(Api.SEARCH, path[1:]))
    found = _decoded(answer)
    told = {name.lower(): value for name, value in answer.headers}
    return {
        "search": search,
        "settings": {report.index: report.as_json() for report in reports},
        "rerank_status": told.get("rerank-status"),
        "server_timing": told.get("server-timing"),
        "used": found.get("ext", {}).get("rerank"),
        "hits": [_hit(hit) for hit in found.get("hits", {}).get("hits", [])],
    }


def _with_details(search: dict[str, Any]) -> dict[str, Any]:
    ext = search.get("ext") or {}
    return search | {"ext": {**ext, "rerank": {**ext.get("rerank", {}), "explain": True}}}


def _request(target: str, headers: Headers, body: bytes) -> Request:
    sent = (*headers, ("Content-Type", "application/json"))
    return Request("POST", target, sent, BytesIO(body), len(body))


def _decoded(answer: Answer) -> dict[str, Any]:
    content = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
    found: dict[str, Any] = msgspec.json.decode(content)
    if answer.status != 200:
        raise AnsweredError(answer.status, reason_of(found.get("error")))
    return found


def _hit(hit: dict[str, Any]) -> dict[str, Any]:
    shown = {name: hit.get(name) for name in ("_index", "_id", "_score")}
    return {**shown, "rerank": hit.get("_rerank")}

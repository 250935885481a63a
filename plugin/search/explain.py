"""One search step by step, answered by the same handler as every search: settings, text, scores, order."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from typing import Any

import msgspec

from opensearch.client import index_path
from opensearch.endpoints import Api, Endpoint
from opensearch.errors import read_reason
from opensearch.index.settings_report import SettingsReport
from opensearch.search.hybrid import suits_windows
from opensearch.search.pins import PINNED
from opensearch.settings.table import RerankSettings, SettingsError
from opensearch.settings.target import Target
from plugin.compare.comparison import ask_for_details
from plugin.compare.hit_text import hit_text, hit_title
from plugin.compare.retry import retry_until_reranked, set_deadline
from plugin.compare.score_parts import find_score_parts
from plugin.encoding.model import Model
from plugin.errors import UpstreamError
from plugin.http.headers import Headers
from plugin.http.messages import Request, Response
from plugin.search.handler import SearchHandler
from plugin.search.planner import SearchPlanner
from plugin.settings.cache import SettingsCache
from plugin.telemetry.outcome import AnyOutcome, SearchOutcome, outcome_of
from plugin.ubi.parameters import UBI
from plugin.upstream.client import Upstream
from plugin.upstream.streamed_response import StreamedResponse

EXPLAIN_TRIES = 3
"""How often an explained search is sent at most: the endpoint holds a thread of the proxy meanwhile."""

MAX_SHOWN_BYTES = 200
"""Of a body that is not JSON, in an error."""


class AnsweredError(UpstreamError):
    """OpenSearch answered with an error, which its own status says.

    `challenges` are the values of its `WWW-Authenticate`, if it is a 401.
    """

    type_name = "upstream_answered_exception"

    def __init__(self, status: int, detail: str, challenges: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.challenges = challenges


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


def search_handler(upstream: Upstream, settings: SettingsCache, model: Model) -> SearchHandler:
    """Return a handler for searches that are explained: they leave no trace in the proxy's own."""
    return SearchHandler(upstream, SearchPlanner(settings, model), model)


def explain(
    handler: SearchHandler,
    settings: SettingsCache,
    headers: Headers,
    asked: Asked,
    reports: Sequence[SettingsReport],
    *,
    tries: int = EXPLAIN_TRIES,
) -> dict[str, Any]:
    """Return every step of the search as plain JSON values.

    It waits longer for the query's vector than a search does. A search that a busy machine leaves unranked
    is sent again, `tries` times in all.

    `headers` are the caller's own: what they may not read is not shown. `reports` are the settings of the
    indices, with their origins.

    Raises:
        AnsweredError: OpenSearch, or the proxy with `on_failure: error`, answers with an error.
        UpstreamError: OpenSearch cannot be asked.
        SettingsError: nothing was asked.
        AddressError: no name of an index.
    """
    target = settings.find_target_as(index_path(asked.indices)[1:], headers)
    search = asked.search(target)
    sent = set_deadline(ask_for_details(search)) if takes_ext(settings, target, headers) else search
    found, outcome = retry_until_reranked(
        lambda: run_search(handler, headers, asked.indices, sent),
        lambda answer: answer[1].reason,
        tries=tries,
    )
    fields = target.settings.source_fields if isinstance(target.settings, RerankSettings) else ()
    used = found.get("ext", {}).get("rerank")
    return {
        "search": search,
        "settings": {report.index: report.as_json() for report in reports},
        "rerank_status": outcome.status,
        "server_timing": outcome.server_timing,
        "used": used,
        "hits": [_describe_hit(hit, fields, used) for hit in found["hits"].get("hits", [])],
    }


def takes_ext(settings: SettingsCache, target: Target, headers: Headers) -> bool:
    """Whether `ext.rerank` of a search on this target is read here; else OpenSearch would refuse it.

    `headers` are the caller's own.
    """
    if not target.is_ours:
        return False
    defined = settings.define_pipelines(target, target.pipelines, headers)
    return all(suits_windows(defined, name) for name in target.pipelines)


def run_search(
    handler: SearchHandler, headers: Headers, indices: str, search: dict[str, Any]
) -> tuple[dict[str, Any], AnyOutcome]:
    """Have one search handled, and return the decoded answer and its outcome.

    Raises:
        AnsweredError, UpstreamError, AddressError: as `explain`.
    """
    path, body = index_path(indices), msgspec.json.encode(_leave_out_ubi(search))
    sent = (*headers, ("Content-Type", "application/json"))
    request = Request("POST", f"{path}/_search", sent, BytesIO(body), len(body))
    response = handler.handle(request, Endpoint(Api.SEARCH, path[1:]))
    return _decode(response), outcome_of(response) or SearchOutcome.skipped("")


def _leave_out_ubi(search: dict[str, Any]) -> dict[str, Any]:
    """Return a search without `ext.ubi`: what is explained is not recorded."""
    ext = search.get("ext")
    if not isinstance(ext, dict) or UBI not in ext:
        return search
    return search | {"ext": {name: value for name, value in ext.items() if name != UBI}}


def _decode(answer: Response) -> dict[str, Any]:
    """Return the JSON of an answered search.

    Raises:
        AnsweredError: another status than 200, with whatever body: the security plugin's errors may be plain
            text, or empty.
        UpstreamError: a 200 that is no answer to a search.
    """
    content = _read_content(answer)
    try:
        found = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = None
    if answer.status != 200:
        challenges = tuple(value for name, value in answer.headers if name.lower() == "www-authenticate")
        raise AnsweredError(answer.status, _find_reason(answer.status, found, content), challenges)
    if not isinstance(found, dict) or not isinstance(found.get("hits"), dict):
        raise UpstreamError(f"expected OpenSearch's JSON for a search, found {content[:MAX_SHOWN_BYTES]!r}")
    return found


def _read_content(answer: Response) -> bytes:
    """Return the body, and hand the connection of a streamed one back."""
    if isinstance(answer.body, bytes):
        return answer.body
    try:
        return b"".join(answer.body)
    finally:
        if isinstance(answer.body, StreamedResponse):
            answer.body.close()


def _find_reason(status: int, found: Any, content: bytes) -> str:  # noqa: ANN401  # any JSON value
    """Return what an error says: OpenSearch's reason, its plain text, or what the status means."""
    if isinstance(found, dict) and "error" in found:
        return read_reason(found["error"])
    text = " ".join(content[:MAX_SHOWN_BYTES].decode("utf-8", "replace").split())
    meanings = {each.value: each.phrase for each in HTTPStatus}
    return text or meanings.get(status, "no reason given")


def _describe_hit(hit: dict[str, Any], fields: Sequence[str], used: dict[str, Any] | None) -> dict[str, Any]:
    shown, scored = {name: hit.get(name) for name in ("_index", "_id", "_score")}, hit.get("_rerank")
    text = {"title": hit_title(hit, fields), "text": hit_text(hit, fields)} if hit.get("_source") else {}
    parts = find_score_parts(scored, used).as_json() if scored and used else None
    pinned = {"pinned": hit[PINNED]} if PINNED in hit else {}
    return {**shown, **text, "rerank": scored, "score_parts": parts, **pinned}

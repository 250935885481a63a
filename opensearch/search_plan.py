"""Decide what becomes of a search: widen it to the window for reranking, or pass it through and say why."""

from dataclasses import dataclass

import msgspec

from opensearch.query_text import query_text
from opensearch.search_request import FORMATTING, NotUnderstoodError, SearchRequest
from opensearch.settings import RerankSettings

MAX_DOCVALUE_FIELDS = 100
"""OpenSearch's `index.max_docvalue_fields_search`: ours must not be the one too many."""


@dataclass(frozen=True)
class Skip:
    """The search is passed through; `reason` is what `Rerank-Status` says."""

    reason: str


@dataclass(frozen=True)
class Plan:
    """A search to be reranked.

    `target` and `body` are the widened request; the page is hits `page_start` to `page_end` of the reordered
    window. `keep_vector` says that the client asked for our field by name.
    """

    query_text: str
    target: str
    body: bytes
    page_start: int
    page_end: int
    is_pretty: bool
    keep_vector: bool
    settings: RerankSettings


def plan_search(request: SearchRequest, settings: RerankSettings) -> Plan | Skip:
    """Plan one `_search` on indices with these settings."""
    if not settings.enabled:
        return Skip("disabled")
    try:
        return _plan(request, settings)
    except NotUnderstoodError as error:
        return Skip(error.reason)
    except (msgspec.DecodeError, RecursionError):  # OpenSearch's own parser shall say what it thinks of it
        return Skip("body")


def _plan(request: SearchRequest, settings: RerankSettings) -> Plan | Skip:
    unknown = request.not_understood()
    if unknown is not None:
        return Skip(unknown)
    start, size = request.from_, request.size
    reason = _page_reason(request, start, size, settings)
    if reason is not None:
        return Skip(reason)
    text = query_text(request.query)
    if text is None:
        return Skip("query_text")
    return Plan(
        query_text=text,
        target=request.target({k: v for k, v in request.parameters.items() if k not in _REPLACED}),
        body=_widened_body(request, settings, max(settings.window_size, start + size)),
        page_start=start,
        page_end=start + size,
        is_pretty=request.is_pretty,
        keep_vector=_asks_for_vector(request, settings.field),
        settings=settings,
    )


_REPLACED = FORMATTING | {"from", "size"}


def _page_reason(request: SearchRequest, start: int, size: int, settings: RerankSettings) -> str | None:
    if not request.sorts_by_score:
        return "sort"
    if size == 0:
        return "size"
    if start >= settings.window_size:
        return "beyond_window"
    return None


def _widened_body(request: SearchRequest, settings: RerankSettings, size: int) -> bytes:
    """Ask for the window from its first hit, and for the vector where the source may not hold it."""
    body = {**request.body, "from": msgspec.Raw(b"0"), "size": msgspec.Raw(str(size).encode())}
    if request.filters_source and not _asks_for_vector(request, settings.field):
        fields = request.member("docvalue_fields") or []
        if not isinstance(fields, list) or len(fields) >= MAX_DOCVALUE_FIELDS:
            raise NotUnderstoodError("docvalue_fields")
        body["docvalue_fields"] = msgspec.Raw(msgspec.json.encode([*fields, settings.field]))
    return msgspec.json.encode(body)


def _asks_for_vector(request: SearchRequest, field: str) -> bool:
    """Whether the client names our field, or its parent, itself: then it is not cut out."""
    asked = [request.member("_source"), request.member("fields"), request.member("docvalue_fields")]
    names = {field, field.partition(".")[0]}
    in_url = (request.parameters.get(name, "") for name in ("_source", "_source_includes"))
    return any(names & set(value.split(",")) for value in in_url) or any(
        _names(value) & names for value in asked
    )


def _names(value: object) -> set[str]:
    """Field names in a `_source`, `fields` or `docvalue_fields` value, in any of its forms."""
    match value:
        case str():
            return {value}
        case list():
            return set().union(*map(_names, value))
        case {"field": str() as field}:
            return {field}
        case dict():
            return _names(value.get("includes", value.get("include")))
        case _:
            return set()

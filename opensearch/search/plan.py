"""Decide what becomes of a search: widen it to the window for reranking, or pass it through and say why."""

from dataclasses import dataclass, replace

import msgspec

from opensearch.query.text import find_query_text
from opensearch.rawjson.filter_path import FilterPath, widen
from opensearch.search.execution import fallback_reason
from opensearch.search.ext import RerankControls, take_controls
from opensearch.search.request import NotUnderstoodError, SearchRequest
from opensearch.search.requested_fields import asks_for, names_among_fields
from opensearch.settings.table import RerankSettings
from opensearch.settings.target import Skip, Target

MAX_DOCVALUE_FIELDS = 100
"""OpenSearch's `index.max_docvalue_fields_search`: ours must not be the one too many."""

NO_PIPELINE = "_none"


@dataclass(frozen=True)
class Plan:
    """A search to be reranked.

    The page is hits `page_start` to `page_end` of the reordered window, `window_size` hits long. `request` is
    the client's search as OpenSearch will read it, without `ext.rerank`. `keep_vector` says that the client
    asked for our field by name, `needs_docvalue` that what it asked for may not hold it. `explains` asks for
    an explanation in OpenSearch's form, `details` for ours. `filter_path` is set where the client filters
    the answer. `in_cluster` says that OpenSearch itself rescores: then the window is one of each shard, and
    the page is asked for as it is; `fallback` is why it does not in spite of the settings.
    `follows_page` says that an earlier page of the same search was reranked, so that this one has to be.
    """

    query_text: str
    request: SearchRequest
    settings: RerankSettings
    window_size: int
    page_start: int
    page_end: int
    keep_vector: bool
    needs_docvalue: bool
    explains: bool
    details: bool
    filter_path: FilterPath | None
    in_cluster: bool = False
    fallback: str | None = None
    follows_page: bool = False

    @property
    def num_hits(self) -> int:
        """How many hits are asked of OpenSearch: the window, and what of the page lies beyond it."""
        return max(self.window_size, self.page_end)


def plan_search(request: SearchRequest, target: Target, *, fallback: str | None = None) -> Plan | Skip:
    """Plan one `_search` on these indices; `fallback` says why OpenSearch cannot rescore it.

    Raises:
        InvalidError: `ext.rerank` is not what it must be.
    """
    if not target.is_ours or _has_search_pipeline(request, target):
        # `ext.rerank`, if there is any, is not for us
        return target.settings if isinstance(target.settings, Skip) else Skip("search_pipeline")
    try:
        controls, body = take_controls(dict(request.body))
        text = controls.query_text(body)
    except (msgspec.DecodeError, RecursionError):  # OpenSearch's own parser shall say what it thinks of it
        return Skip("body")
    ours = request.with_body(body)
    plan = _planned(ours, target, controls, text, fallback=fallback)
    return replace(plan, forward=ours) if isinstance(plan, Skip) and body != request.body else plan


def _planned(
    request: SearchRequest,
    target: Target,
    controls: RerankControls,
    given_text: str | None,
    *,
    fallback: str | None,
) -> Plan | Skip:
    if isinstance(target.settings, Skip):
        return target.settings
    settings = controls.apply_to(target.settings)
    if not settings.enabled:
        return Skip("disabled")
    try:
        wants_cluster = settings.execution == "cluster"
        if wants_cluster:
            fallback = fallback or fallback_reason(request, settings, details=controls.explain)
        in_cluster = wants_cluster and fallback is None
        plan = _plan(request, target, settings, given_text, details=controls.explain, in_cluster=in_cluster)
        return replace(plan, fallback=fallback) if wants_cluster and isinstance(plan, Plan) else plan
    except NotUnderstoodError as error:
        return Skip(error.reason)
    except (msgspec.DecodeError, RecursionError):
        return Skip("body")


def _plan(
    request: SearchRequest,
    target: Target,
    settings: RerankSettings,
    given_text: str | None,
    *,
    details: bool,
    in_cluster: bool,
) -> Plan | Skip:
    unknown = request.find_unknown_name()
    if unknown is not None:
        return Skip(unknown)
    longest = target.max_rescore_window if in_cluster else target.max_result_window
    window_size = min(settings.window_size, longest, *request.rescore_windows)
    start, end = request.from_, request.from_ + request.size
    last_start = target.max_result_window if in_cluster else window_size
    reason = _order_reason(request) or _page_reason(start, end, last_start, target.max_result_window)
    if reason is not None:
        return Skip(reason)
    text = given_text or find_query_text(request.query)
    if text is None:
        return Skip("query_text")
    keep_vector = asks_for(request, settings.field)
    has_docvalue = in_cluster or names_among_fields(request, settings.field)
    needs_docvalue = not has_docvalue and (request.filters_source or "filter_path" in request.parameters)
    if needs_docvalue and len(request.docvalue_fields) >= MAX_DOCVALUE_FIELDS:
        return Skip("docvalue_fields")
    filter_path = _filter_path(request, _needed(settings, in_cluster=in_cluster))
    if isinstance(filter_path, Skip):
        return filter_path
    return Plan(
        query_text=text,
        request=request,
        settings=settings,
        window_size=window_size,
        page_start=start,
        page_end=end,
        keep_vector=keep_vector,
        needs_docvalue=needs_docvalue,
        explains=request.explains,
        details=details,
        filter_path=filter_path,
        in_cluster=in_cluster,
    )


def _has_search_pipeline(request: SearchRequest, target: Target) -> bool:
    """Whether a search pipeline that is not known to be harmless would work on our window."""
    asked = request.parameters.get("search_pipeline") or request.member("search_pipeline")
    allowed = () if isinstance(target.settings, Skip) else target.settings.pipelines_allowed
    if asked is not None:
        return not isinstance(asked, str) or (asked != NO_PIPELINE and asked not in allowed)
    return bool(target.pipelines.difference(allowed))


def _order_reason(request: SearchRequest) -> str | None:
    if request.breaks_score_ties:
        return "sort_tie_breaker"
    if not request.sorts_by_score:
        return "sort"
    return "stored_fields" if "_none_" in request.stored_fields else None


def _page_reason(start: int, end: int, last_start: int, max_result_window: int) -> str | None:
    if start == end:
        return "size"
    if end > max_result_window:
        return "max_result_window"  # OpenSearch answers that with an error of its own
    return "beyond_window" if start >= last_start else None


def _needed(settings: RerankSettings, *, in_cluster: bool) -> list[tuple[str, ...]]:
    """Return what is read of a hit."""
    if in_cluster:
        return []
    names = ("_index", "_id", "_routing") if settings.verify_at_search else ()
    return [("_score",), ("fields", settings.field), *((name,) for name in names)]


def _filter_path(request: SearchRequest, of_a_hit: list[tuple[str, ...]]) -> FilterPath | Skip | None:
    """Return the client's filter, widened by what is read of the answer."""
    if "filter_path" not in request.parameters:
        return None
    needed: list[tuple[str, ...]] = [("timed_out",), ("_shards", "failed")]
    needed += [("hits", "hits", *path) for path in of_a_hit]
    return widen(request.parameters["filter_path"], needed) or Skip("filter_path")

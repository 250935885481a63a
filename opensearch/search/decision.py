"""The decision about a search: rerank it by a plan, pass it through and say why, or refuse it."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from opensearch.fields.ltr_log import FIELD as LOGGED_FEATURES
from opensearch.query.text import find_query_texts
from opensearch.rawjson.filter_path import FilterPath, widen
from opensearch.rawjson.validation import InvalidError
from opensearch.search.execution import find_fallback
from opensearch.search.ext import RerankControls, take_controls
from opensearch.search.ext_keys import find_obstacle
from opensearch.search.hybrid import changes_windows, check_hybrid, find_technique
from opensearch.search.plan import (
    MAX_DOCVALUE_FIELDS,
    Plan,
    list_boosts,
    list_doc_values,
    reads_logged_features,
)
from opensearch.search.request import NotUnderstoodError, SearchRequest
from opensearch.search.requested_fields import asks_for, finds_other_values, names_among_fields
from opensearch.search.rules import NO_EFFECTS, RuleEffects
from opensearch.settings.fusion import FusionDefaults, ResolvedFusion
from opensearch.settings.signals import DocValueField
from opensearch.settings.skip import Skip
from opensearch.settings.table import RerankSettings
from opensearch.settings.target import Target


@dataclass(frozen=True)
class InvalidControls:
    """The search is refused: `detail` says what its `ext.rerank` holds, what was expected, and what to do."""

    detail: str


@dataclass(frozen=True)
class Decision:
    """What is done with a search.

    `forward` is what is sent if it is passed through; None: the client's own bytes. Those cannot be sent if
    they hold `ext.rerank`, which OpenSearch does not know. What rules hide is not hidden in it. `compared` is
    the plan of a window that is asked for after the answer to a search that is passed through, to compare its
    orders; None: there is none.
    """

    plan: Plan | Skip | InvalidControls
    forward: SearchRequest | None = None
    compared: Plan | None = None


def plan_search(
    request: SearchRequest,
    target: Target,
    *,
    defaults: FusionDefaults,
    fallback: str | None = None,
    rules: RuleEffects = NO_EFFECTS,
) -> Decision:
    """Decide about one `_search` on these indices.

    Args:
        request: the client's search.
        target: what the indices say.
        defaults: the bundle's own for what the settings leave open.
        fallback: why OpenSearch cannot rescore it, None if it may.
        rules: what the rules that apply to it do.
    """
    if not target.is_ours or changes_windows(request, target):
        # `ext.rerank`, if there is any, is not for us
        return Decision(target.settings if isinstance(target.settings, Skip) else Skip("search_pipeline"))
    try:
        controls, body = take_controls(dict(request.body))
        text = controls.query_text(body)
        own = request.with_body(body)
        plan = _plan_with(controls, rules.hide_in(own), target, text, defaults, fallback, rules)
    except InvalidError as error:
        return Decision(InvalidControls(str(error)))
    except (msgspec.DecodeError, RecursionError):  # OpenSearch's own parser says what it thinks of it
        return Decision(Skip("body"))
    return Decision(plan, own if body != request.body else None)


def _plan_with(
    controls: RerankControls,
    request: SearchRequest,
    target: Target,
    given_text: str | None,
    defaults: FusionDefaults,
    fallback: str | None,
    rules: RuleEffects,
) -> Plan | Skip:
    """Plan a search, `request` being without its `ext.rerank` and without what rules hide.

    Raises:
        InvalidError: a value does not go together with the index's own.
    """
    if isinstance(target.settings, Skip):
        return target.settings
    settings = controls.apply_to(target.settings)
    if not settings.enabled:
        return Skip("disabled")
    if not rules.reranks:
        return Skip("rule")
    fusion, details = settings.fusion.resolve(defaults), controls.explain or controls.features
    try:
        if settings.execution == "cluster":
            added = sum(each.log_factor for each in list_boosts(fusion, rules))
            fallback = fallback or find_fallback(request, settings, fusion, details=details, added=added)
        else:
            fallback = None
        return _plan(
            request,
            target,
            settings,
            given_text,
            fusion,
            rules,
            details=details,
            features=controls.features,
            fallback=fallback,
        )
    except NotUnderstoodError as error:
        return Skip(error.reason)
    except (msgspec.DecodeError, RecursionError):
        return Skip("body")


def _plan(
    request: SearchRequest,
    target: Target,
    settings: RerankSettings,
    given_text: str | None,
    fusion: ResolvedFusion,
    rules: RuleEffects,
    *,
    details: bool,
    features: bool,
    fallback: str | None,
) -> Plan | Skip:
    unknown = request.find_unknown_name()
    if unknown is not None:
        return Skip(unknown)
    in_cluster = settings.execution == "cluster" and fallback is None
    obstacle = find_obstacle(request.ext, in_cluster=in_cluster)
    if obstacle is not None:
        return Skip(obstacle)
    longest = target.max_rescore_window if in_cluster else target.max_result_window
    window_size = min(settings.window_size, longest, *request.rescore_windows)
    start, end = request.from_, request.from_ + request.size
    has_all_pages = in_cluster or settings.cuts  # beyond the window of one that is cut there is no hit
    last_start = target.max_result_window if has_all_pages else window_size
    reason = (
        _check_order(request)
        or check_hybrid(request, target)
        or _check_page(start, end, last_start, target.max_result_window)
    )
    if reason is not None:
        return Skip(reason)
    texts = [given_text] if given_text else find_query_texts(request.query)
    text = " ".join(texts)
    if not text:
        return Skip("query_text")
    doc_values = () if in_cluster else list_doc_values(settings, fusion, rules)
    reads = _choose_reads(request, settings, doc_values, in_cluster=in_cluster)
    if reads.num_added and len(request.docvalue_fields) + reads.num_added > MAX_DOCVALUE_FIELDS:
        return Skip("docvalue_fields")
    names = [each.name for each in doc_values]
    if reads_logged_features(request, fusion, features=features):
        names.append(LOGGED_FEATURES)
    reads_ids = any(each.field is None for each in list_boosts(fusion, rules))
    needed = _list_needed(settings, names, in_cluster=in_cluster, reads_ids=reads_ids)
    filter_path = _widen_filter(request, needed)
    if isinstance(filter_path, Skip):
        return filter_path
    return Plan(
        query_text=text,
        longest_text=max(texts, key=len),
        request=request,
        settings=settings,
        fusion=fusion,
        window_size=window_size,
        page_start=start,
        page_end=end,
        keep_vector=reads.keep_vector,
        needs_docvalue=reads.needs_docvalue,
        explains=request.explains,
        details=details,
        filter_path=filter_path,
        in_cluster=in_cluster,
        fallback=fallback,
        must_split=reads.must_split,
        hybrid=find_technique(request, target),
        features=features,
        rules=rules,
    )


@dataclass(frozen=True)
class _FieldReads:
    """How the vector and the doc values of a hit are read, in the words of `Plan`.

    `num_added` fields are asked for beside the client's own `docvalue_fields`.
    """

    keep_vector: bool
    needs_docvalue: bool
    must_split: bool
    num_added: int


def _choose_reads(
    request: SearchRequest,
    settings: RerankSettings,
    doc_values: Sequence[DocValueField],
    *,
    in_cluster: bool,
) -> _FieldReads:
    must_split = any(finds_other_values(request, each.name) for each in doc_values)
    if settings.vectors == "source":
        keep_vector, needs_docvalue = True, False
    elif settings.vectors == "doc_values":
        keep_vector, must_split = True, must_split or finds_other_values(request, settings.field)
        needs_docvalue = not must_split
    else:
        keep_vector = asks_for(request, settings.field)
        has_docvalue = in_cluster or names_among_fields(request, settings.field)
        needs_docvalue = not has_docvalue and (request.filters_source or "filter_path" in request.parameters)
    num_added = needs_docvalue + (0 if must_split else len(doc_values))
    return _FieldReads(keep_vector, needs_docvalue, must_split, num_added)


def _check_order(request: SearchRequest) -> str | None:
    if request.breaks_score_ties:
        return "sort_tie_breaker"
    if not request.sorts_by_score:
        return "sort"
    return "stored_fields" if "_none_" in request.stored_fields else None


def _check_page(start: int, end: int, last_start: int, max_result_window: int) -> str | None:
    if start == end:
        return "size"
    if end > max_result_window:
        return "max_result_window"  # OpenSearch answers that with an error of its own
    return "beyond_window" if start >= last_start else None


def _list_needed(
    settings: RerankSettings, names_of_fields: list[str], *, in_cluster: bool, reads_ids: bool
) -> list[tuple[str, ...]]:
    """Return what is read of a hit."""
    if in_cluster:
        return []
    is_read_apart = settings.verify_at_search or settings.vectors == "source"
    names = ("_index", "_id", "_routing") if is_read_apart else ("_id",) if reads_ids else ()
    fields = [("fields", name) for name in (settings.field, *names_of_fields)]
    return [("_score",), *fields, *((name,) for name in names)]


def _widen_filter(request: SearchRequest, of_a_hit: list[tuple[str, ...]]) -> FilterPath | Skip | None:
    """Return the client's filter, widened by what is read of the answer."""
    if "filter_path" not in request.parameters:
        return None
    needed: list[tuple[str, ...]] = [("timed_out",), ("_shards", "failed")]
    needed += [("hits", "hits", *path) for path in of_a_hit]
    return widen(request.parameters["filter_path"], needed) or Skip("filter_path")

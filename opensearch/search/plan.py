"""Decide about a search: rerank it by a window, pass it through and say why, or refuse it."""

from dataclasses import dataclass

import msgspec

from opensearch.fields.ltr_log import FIELD as LOGGED_FEATURES
from opensearch.fields.ltr_log import LTR_LOG
from opensearch.query.text import find_query_texts
from opensearch.rawjson.filter_path import FilterPath, widen
from opensearch.rawjson.validation import InvalidError
from opensearch.search.execution import find_fallback
from opensearch.search.ext import RerankControls, take_controls
from opensearch.search.ext_keys import find_obstacle
from opensearch.search.hybrid import changes_windows, check_hybrid, find_technique
from opensearch.search.request import NotUnderstoodError, SearchRequest
from opensearch.search.requested_fields import asks_for, finds_other_values, names_among_fields
from opensearch.search.rules import NO_EFFECTS, RuleBoost, RuleEffects
from opensearch.settings.fusion import FusionDefaults, ResolvedFusion
from opensearch.settings.search_pipeline import Technique
from opensearch.settings.signals import DocValueField
from opensearch.settings.skip import Skip
from opensearch.settings.table import RerankSettings
from opensearch.settings.target import Target

MAX_DOCVALUE_FIELDS = 100
"""OpenSearch's `index.max_docvalue_fields_search`: the vector field must not be the one too many."""


@dataclass(frozen=True)
class ArmOrder:
    """How an arm of an experiment orders a window.

    `fusion` is None for OpenSearch's own order. `bundle` names the bundle that reranks, empty for the
    proxy's own.
    """

    name: str
    fusion: ResolvedFusion | None
    bundle: str = ""


@dataclass(frozen=True)
class Interleaving:
    """Two orders of one window that share a page.

    `experiment` and `unit` decide the coins. The first of the `arms` is the control.
    """

    experiment: str
    unit: str
    arms: tuple[ArmOrder, ArmOrder]


@dataclass(frozen=True)
class Plan:
    """How a search is reranked.

    `query_text` joins the texts of all clauses, `longest_text` is one of them. The page is hits `page_start`
    to `page_end` of the reordered window, `window_size` hits long. `request` is the client's search as
    OpenSearch will read it, without `ext.rerank`. `settings` are the index's with what the request changes,
    `fusion` is theirs with the bundle's values filled in. `keep_vector` says that the
    client asked for the vector field by name, `needs_docvalue` that what it asked for may not hold it.
    Vectors of the index's own (`settings.reads_existing`) are always kept.
    `explains` asks for an explanation in OpenSearch's form, `details` for one in Twinrank's. `filter_path` is
    set if the client filters the answer. `in_cluster` says that OpenSearch itself rescores: then the window
    is one of each shard, and the page is asked for as it is; `fallback` is why it does not in spite of the
    settings. `follows_page` says that an earlier page of the same search was reranked, so that this one has
    to be. `must_split` says that the client asks for values of the fields in `doc_values` itself, so that
    the window's own have to be asked for apart. `interleaving` is set if the page is made of two orders;
    `fusion` is then that of one of them. `shadow` are the orders that are only compared with the page.
    `bundle` names the bundle that reranks, empty for the proxy's own. `hybrid` says how the first stage's
    scores were normalised if the query is a hybrid one. `features` asks for what a combiner sees of each hit.
    """

    query_text: str
    longest_text: str
    request: SearchRequest
    settings: RerankSettings
    fusion: ResolvedFusion
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
    must_split: bool = False
    interleaving: Interleaving | None = None
    shadow: tuple[ArmOrder, ...] = ()
    bundle: str = ""
    hybrid: Technique | None = None
    features: bool = False
    rules: RuleEffects = NO_EFFECTS

    @property
    def bundles(self) -> tuple[str, ...]:
        """The bundles that encode the query before the page is ordered; empty is the proxy's own."""
        if self.interleaving is None:
            return (self.bundle,)
        reranked = (arm.bundle for arm in self.interleaving.arms if arm.fusion is not None)
        return tuple(dict.fromkeys(reranked))

    @property
    def reads_logged_features(self) -> bool:
        """Whether the features that the client has logged with each hit are read of the whole window."""
        reads = _reads_logged_features(self.request, self.fusion, features=self.features)
        return reads and not self.in_cluster

    @property
    def doc_values(self) -> tuple[DocValueField, ...]:
        """The fields whose doc values are read of every hit, beside the vector."""
        return _list_doc_values(self.settings, self.fusion, self.rules)

    @property
    def boosts(self) -> tuple[RuleBoost, ...]:
        """The boosts and buries of rules; a fusion that is the crossing alone takes none, nor signals."""
        return _list_boosts(self.fusion, self.rules)

    @property
    def added_doc_values(self) -> tuple[DocValueField, ...]:
        """Those that hits have although the client did not ask for them."""
        return () if self.in_cluster or self.must_split else self.doc_values

    @property
    def num_hits(self) -> int:
        """How many hits are asked of OpenSearch: the window, and what of the page lies beyond it.

        A result that is cut ends with the window.
        """
        return self.window_size if self.settings.cuts else max(self.window_size, self.page_end)


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
            added = sum(each.log_factor for each in _list_boosts(fusion, rules))
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
    doc_values = () if in_cluster else _list_doc_values(settings, fusion, rules)
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
    if num_added and len(request.docvalue_fields) + num_added > MAX_DOCVALUE_FIELDS:
        return Skip("docvalue_fields")
    names = [each.name for each in doc_values]
    if _reads_logged_features(request, fusion, features=features):
        names.append(LOGGED_FEATURES)
    reads_ids = any(each.field is None for each in _list_boosts(fusion, rules))
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
        keep_vector=keep_vector,
        needs_docvalue=needs_docvalue,
        explains=request.explains,
        details=details,
        filter_path=filter_path,
        in_cluster=in_cluster,
        fallback=fallback,
        must_split=must_split,
        hybrid=find_technique(request, target),
        features=features,
        rules=rules,
    )


def _reads_logged_features(request: SearchRequest, fusion: ResolvedFusion, *, features: bool) -> bool:
    return LTR_LOG in request.ext and (features or fusion.method == "combiner")


def _list_doc_values(
    settings: RerankSettings, fusion: ResolvedFusion, rules: RuleEffects
) -> tuple[DocValueField, ...]:
    """Return each field once; `cluster` reads those of signals itself, and knows no others."""
    boosted = (DocValueField(each.field) for each in _list_boosts(fusion, rules) if each.field is not None)
    exact = (DocValueField(name) for name in settings.keep_exact)
    return tuple(dict.fromkeys((*(signal.field for signal in fusion.signals), *exact, *boosted)))


def _list_boosts(fusion: ResolvedFusion, rules: RuleEffects) -> tuple[RuleBoost, ...]:
    return () if fusion.method == "none" else rules.boosts


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

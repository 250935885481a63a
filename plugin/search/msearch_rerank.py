"""The items of an `_msearch`: asked for in one request, each answered by itself.

An item whose widened search failed is asked for again as the client had it, all such items in one request.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from msgspec import Raw

from opensearch.rawjson.style import Style, write_value
from opensearch.search.decision import InvalidControls
from opensearch.search.msearch import DEPTH_OF_AN_ITEM, MultiSearchResponse, read_error_status
from opensearch.search.plan import Plan
from opensearch.search.response import SearchResponse, UnusableResponseError
from opensearch.settings.skip import Skip
from plugin.encoding.model import Model
from plugin.encoding.pending_query import PendingQuery
from plugin.encoding.query_future import QueryFuture
from plugin.errors import RerankFailedError, error_body
from plugin.http.headers import select_warnings
from plugin.http.messages import Request, Response
from plugin.search.breaker import UpstreamBreaker, find_kind
from plugin.search.failure import build_failure_body
from plugin.search.msearch_item import PlannedItem
from plugin.search.page import RerankedPage
from plugin.search.scores import WindowScores
from plugin.search.scoring import score_window
from plugin.search.shadow import DeferredAttributes, ShadowWorker
from plugin.search.upstream_exchange import build_headers, build_response, is_final
from plugin.search.verification import WindowTexts, carries_sources
from plugin.search.window_comparison import WindowComparer
from plugin.telemetry.outcome import MultiSearchOutcome, SearchOutcome
from plugin.ubi.recorder import UbiRecorder
from plugin.upstream.access import DENIED
from plugin.upstream.client import Exchange, Upstream

_NOTHING_ASKED = Exchange(200, "OK", (("Content-Type", "application/json"),), b'{"took":0,"responses":[]}')

_log = logging.getLogger("twinrank.search")


class ItemsRefusedError(UnusableResponseError):
    """OpenSearch answers an error to all items at once."""

    def __init__(self, exchange: Exchange) -> None:
        found = f"{exchange.status}: {exchange.body[:500]!r}"
        super().__init__(f"expected status 200, found {found}", select_warnings(exchange.headers))
        self.exchange = exchange


@dataclass(frozen=True)
class _ItemResponse:
    """One item's part of the answer, and its outcome."""

    raw: Raw
    outcome: SearchOutcome


@dataclass(frozen=True)
class _Answers:
    """What OpenSearch answered, by the items' positions."""

    exchange: Exchange
    whole: MultiSearchResponse
    raws: Mapping[int, Raw]


class MultiSearchReranker:
    """Runs planned items on one OpenSearch with one model."""

    def __init__(
        self,
        upstream: Upstream,
        model: Model,
        breaker: UpstreamBreaker,
        recorder: UbiRecorder | None = None,
        shadows: ShadowWorker | None = None,
    ) -> None:
        self._upstream = upstream
        self._recorder = recorder
        self._model = model
        self._breaker = breaker
        self._shadows = shadows or ShadowWorker()
        self._comparer = WindowComparer(upstream, model)

    def run(self, request: Request, planned: Sequence[PlannedItem]) -> Response:
        """Answer all items.

        Raises:
            ItemsRefusedError: OpenSearch answers an error to all of them.
            UnusableResponseError: what it answers cannot be read.
            UpstreamError: OpenSearch cannot be asked.
        """
        judged = [each.plan for each in planned if _may_give_up(each) and isinstance(each.plan, Plan)]
        if judged and not self._admits(judged):
            busy = Skip("overloaded")
            planned = [each.fall_back(busy) if _may_give_up(each) else each for each in planned]
        context, queries, items = request.context, self._submit_queries(planned), dict(enumerate(planned))
        with context.stage("opensearch"):
            answers = self._ask(request, items)
        responses = self._respond(items, answers, queries, WindowTexts(self._upstream, request))
        failed = {at: items[at].fall_back(Skip("upstream")) for at in sorted(items.keys() - responses.keys())}
        if failed:
            with context.stage("opensearch"):
                responses |= self._ask_again(request, failed, answers.whole.style)
        outcomes = tuple(items[position].tag(responses[position].outcome) for position in items)
        for each, outcome in zip(planned, outcomes, strict=True):
            each.record_outcome(outcome)
        self._record_failures(request, items, responses, failed.keys())
        final = items | failed
        compared: list[DeferredAttributes] = []
        raws = [self._record(request, final[position], responses[position], compared) for position in items]
        self._shadows.defer(compared)
        body = answers.whole.with_items(raws)
        indices = tuple(each.item.indices for each in planned)
        return build_response(
            answers.exchange, body, MultiSearchOutcome(outcomes, indices, context.stages_ms())
        )

    def _record(
        self, request: Request, each: PlannedItem, response: _ItemResponse, compared: list[DeferredAttributes]
    ) -> Raw:
        """Record an item that has `ext.ubi`, and return its part of the answer.

        What its record leaves for later is added to `compared`.
        """
        recorded = each.search.recorded
        if self._recorder is None or recorded is None or each.is_own:
            return response.raw
        outcome = each.tag(self._comparer.attach(each.search, response.outcome))
        return self._recorder.record_item(
            request,
            recorded,
            response.raw,
            outcome,
            defer=lambda compute, deliver: compared.append(DeferredAttributes(compute, deliver)),
        )

    def _record_failures(
        self,
        request: Request,
        items: Mapping[int, PlannedItem],
        responses: Mapping[int, _ItemResponse],
        failed: Collection[int],
    ) -> None:
        """Tell the breaker which widened searches failed though the client's own were answered."""
        for position, each in items.items():
            if not isinstance(each.plan, Plan):
                continue
            kind = find_kind(request, each.plan.request)
            if position not in failed:
                self._breaker.record_success(kind)
            elif read_error_status(responses[position].raw) is None:
                self._breaker.record_failure(kind)

    def _admits(self, plans: Sequence[Plan]) -> bool:
        """Whether these items are reranked, as every bundle that they need sees it."""
        bundles = dict.fromkeys(bundle for plan in plans for bundle in plan.bundles)
        return all(
            self._model.choose(bundle).admits(*(plan for plan in plans if bundle in plan.bundles))
            for bundle in bundles
        )

    def _submit_queries(self, planned: Sequence[PlannedItem]) -> dict[int, PendingQuery]:
        """Start encoding the items' queries, one batch for each bundle that they need."""
        plans = {at: each.plan for at, each in enumerate(planned) if isinstance(each.plan, Plan)}
        futures: dict[int, dict[str, QueryFuture | None]] = {position: {} for position in plans}
        for bundle in dict.fromkeys(bundle for plan in plans.values() for bundle in plan.bundles):
            needing = {at: plan.query_text for at, plan in plans.items() if bundle in plan.bundles}
            vectors = self._model.choose(bundle).query_vectors.submit_all(list(needing.values()))
            for position, future in zip(needing, vectors, strict=True):
                futures[position][bundle] = future
        return {position: PendingQuery(each) for position, each in futures.items()}

    def _ask(self, request: Request, items: Mapping[int, PlannedItem]) -> _Answers:
        """Ask for all items, those that are refused apart; one request for each place that they go to."""
        places: dict[str, list[int]] = {}
        for position, each in items.items():
            if not isinstance(each.plan, InvalidControls):
                places.setdefault(each.place(request.target), []).append(position)
        exchange, top, raws = (
            _NOTHING_ASKED,
            MultiSearchResponse.parse(_NOTHING_ASKED.body, 0),
            dict[int, Raw](),
        )
        for place, positions in places.items():
            body = b"".join(items[position].lines() for position in positions)
            exchange = self._upstream.exchange(
                request.method, place, build_headers(request), body, client=request.context.client
            )
            if exchange.status != 200:
                raise ItemsRefusedError(exchange)
            part = MultiSearchResponse.parse(exchange.body, len(positions))
            raws |= zip(positions, part.items, strict=True)
            top = part.add_time_of(top)
        return _Answers(exchange, top, raws)

    def _respond(
        self,
        items: Mapping[int, PlannedItem],
        answers: _Answers,
        queries: Mapping[int, PendingQuery],
        texts: WindowTexts,
    ) -> dict[int, _ItemResponse]:
        """Return the items' parts of the answer, without those whose widened search failed."""
        responses, style, is_patient = {}, answers.whole.style, True
        for position, each in items.items():
            plan = each.plan
            if isinstance(plan, InvalidControls):
                raw = _build_error(400, "illegal_argument_exception", plan.detail, style)
                responses[position] = _ItemResponse(raw, each.outcome)
            elif not isinstance(plan, Plan):
                responses[position] = _pass_through(each, answers.raws[position], style)
            else:
                plan = plan if is_patient else _without_deadline(plan)
                found = self._rerank(plan, answers.raws[position], queries[position], texts)
                if found is not None:
                    responses[position] = found
                    is_patient = is_patient and found.outcome.reason != "deadline"
        return responses

    def _rerank(self, plan: Plan, raw: Raw, query: PendingQuery, texts: WindowTexts) -> _ItemResponse | None:
        """Return one item reranked or as a first-stage page; None if its widened search failed."""
        try:
            status = read_error_status(raw)
            if is_final(status, bytes(raw)):
                reason = "not_enabled" if status in DENIED else "upstream"
                return _ItemResponse(raw, SearchOutcome.skipped(reason))
            if status is not None:
                raise UnusableResponseError(f"expected an answer, found {bytes(raw)[:500]!r}")
            return self._build_page(plan, raw, query, texts)
        except UnusableResponseError as error:
            _log.warning("the widened search of an item failed, so the client's own is sent: %s", error)
            return None

    def _build_page(self, plan: Plan, raw: Raw, query: PendingQuery, texts: WindowTexts) -> _ItemResponse:
        """Score an item's window and write its page, in first-stage order if there are no scores."""
        with texts.context.stage("read"):
            response = SearchResponse.parse(bytes(raw), within=DEPTH_OF_AN_ITEM)
        has_sources, reason = carries_sources(plan), ""
        scores: WindowScores | None
        try:
            scores = score_window(response, plan, self._model, query, texts, has_sources=has_sources)
        except RerankFailedError as error:
            _log.warning("item not reranked, reason=%s: %s", error.reason, error)
            if plan.settings.on_failure == "error":
                raw = _write_error(build_failure_body(error), response.style)
                return _ItemResponse(raw, SearchOutcome.skipped(error.reason))
            if plan.page_end > plan.num_hits:  # the page lies beyond a window that was to be cut
                raise UnusableResponseError(str(error)) from error
            scores, reason = None, error.reason
        with texts.context.stage("page"):
            model = self._model.choose(plan.bundle)
            page = RerankedPage(response, plan, model, scores).write(
                lambda positions: [response.hits[position] for position in positions]
            )
        outcome = SearchOutcome.skipped(reason) if scores is None else scores.build_outcome()
        return _ItemResponse(Raw(page), outcome)

    def _ask_again(
        self, request: Request, failed: Mapping[int, PlannedItem], style: Style
    ) -> dict[int, _ItemResponse]:
        """Return failed items as OpenSearch answers the client's own; an error to all is one to each."""
        try:
            raws = self._ask(request, failed).raws
        except ItemsRefusedError as error:
            raws = dict.fromkeys(failed, _build_error_to_each(error.exchange, style))
        return {position: _pass_through(each, raws[position], style) for position, each in failed.items()}


def _may_give_up(each: PlannedItem) -> bool:
    """Whether an item may be passed through; if failures are errors, the encoder alone decides.

    One whose earlier page was reranked may not.
    """
    plan = each.plan
    return isinstance(plan, Plan) and plan.settings.on_failure != "error" and not plan.follows_page


def _pass_through(each: PlannedItem, raw: Raw, style: Style) -> _ItemResponse:
    """Return an item that was passed through; a refusal does not tell whether its index has settings."""
    is_denied = read_error_status(raw) in DENIED
    outcome = SearchOutcome.skipped("not_enabled") if is_denied else each.outcome
    return _ItemResponse(each.cut(raw, style), outcome)


def _without_deadline(plan: Plan) -> Plan:
    """Return the plan of an item that waits for no vector, since one before it has waited in vain."""
    return replace(plan, settings=msgspec.structs.replace(plan.settings, deadline_ms=0))


def _build_error(status: int, type_name: str, reason: str, style: Style) -> Raw:
    return _write_error(error_body(status, type_name, reason), style)


def _write_error(body: bytes, style: Style) -> Raw:
    """Return an error's body as an item has it."""
    return write_value(msgspec.json.decode(body), style, DEPTH_OF_AN_ITEM)


def _build_error_to_each(exchange: Exchange, style: Style) -> Raw:
    """Return an error to all items as one item has it, which is the same form."""
    try:
        error = msgspec.json.decode(exchange.body, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        error = {}
    if "error" in error and "status" in error:
        return write_value(error, style, DEPTH_OF_AN_ITEM)
    found = exchange.body[:500].decode(errors="replace")
    return _build_error(exchange.status, "upstream_exception", found, style)

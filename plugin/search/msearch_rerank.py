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
from opensearch.rawjson.validation import InvalidError
from opensearch.search.msearch import DEPTH_OF_AN_ITEM, MultiSearchResponse, read_error_status
from opensearch.search.plan import Plan
from opensearch.search.response import SearchResponse, UnusableResponseError
from plugin.encoding.model import Model
from plugin.encoding.query_future import QueryFuture
from plugin.errors import RerankFailedError, error_body
from plugin.http.headers import select_warnings
from plugin.http.messages import Request, Response
from plugin.search.breaker import UpstreamBreaker, kind_of
from plugin.search.msearch_item import PlannedItem
from plugin.search.page import RerankedPage
from plugin.search.scoring import scored_window
from plugin.search.sidecar import answered, holds_for_the_clients_own, plain_headers
from plugin.search.verification import WindowTexts, carries_sources
from plugin.telemetry.rerank_status import APPLIED, of_items
from plugin.telemetry.stage_clock import StageClock
from plugin.upstream.access import DENIED
from plugin.upstream.client import Exchange, Upstream

_NOTHING_ASKED = Exchange(200, "OK", (("Content-Type", "application/json"),), b'{"took":0,"responses":[]}')

_log = logging.getLogger("twinrank.search")

Vector = QueryFuture | None


class RefusedError(UnusableResponseError):
    """OpenSearch answers an error to all items at once."""

    def __init__(self, exchange: Exchange) -> None:
        found = f"{exchange.status}: {exchange.body[:500]!r}"
        super().__init__(f"expected status 200, found {found}", select_warnings(exchange.headers))
        self.exchange = exchange


@dataclass(frozen=True)
class _Told:
    """One item's part of the answer, and what became of it."""

    raw: Raw
    word: str


@dataclass(frozen=True)
class _Answers:
    """What OpenSearch answered, by the items' positions."""

    exchange: Exchange
    whole: MultiSearchResponse
    raws: Mapping[int, Raw]


class RerankedItems:
    """Runs planned items on one OpenSearch with one model."""

    def __init__(self, upstream: Upstream, model: Model, breaker: UpstreamBreaker) -> None:
        self._upstream = upstream
        self._model = model
        self._breaker = breaker

    def run(self, request: Request, planned: Sequence[PlannedItem], clock: StageClock) -> Response:
        """Answer all items.

        Raises:
            RefusedError: OpenSearch answers an error to all of them.
            UnusableResponseError: what it answers cannot be read.
            UpstreamError: OpenSearch cannot be asked.
        """
        judged = [each.plan for each in planned if _may_give_up(each) and isinstance(each.plan, Plan)]
        if judged and not self._model.admits(*judged):
            planned = [each.given_up("overloaded") if _may_give_up(each) else each for each in planned]
        vectors = self._submitted(planned)
        items = dict(enumerate(planned))
        with clock.stage("opensearch"):
            answers = self._asked(request, items)
        told = self._told(items, answers, vectors, clock, WindowTexts(self._upstream, request))
        failed = {position: items[position].given_up("upstream") for position in items.keys() - told.keys()}
        if failed:
            with clock.stage("opensearch"):
                told |= self._asked_again(request, dict(sorted(failed.items())), answers.whole.style)
        for position, each in items.items():
            each.noted(told[position].word)
        self._note(request, items, told, failed.keys())
        body = answers.whole.with_items(told[position].raw for position in items)
        status = of_items([told[position].word for position in items])
        return answered(answers.exchange, body, status, clock)

    def _note(
        self, request: Request, items: Mapping[int, PlannedItem], told: Mapping[int, _Told],
        failed: Collection[int],
    ) -> None:  # fmt: skip
        """Note which widened searches failed though the client's own were answered, and which did not."""
        for position, each in items.items():
            if not isinstance(each.plan, Plan):
                continue
            kind = kind_of(request, each.plan.request)
            if position not in failed:
                self._breaker.succeeded(kind)
            elif read_error_status(told[position].raw) is None:
                self._breaker.failed(kind)

    def _submitted(self, planned: Sequence[PlannedItem]) -> dict[int, Vector]:
        plans = {position: each.plan for position, each in enumerate(planned)}
        texts = {position: plan.query_text for position, plan in plans.items() if isinstance(plan, Plan)}
        return dict(zip(texts, self._model.query_vectors.submit_all(list(texts.values())), strict=True))

    def _asked(self, request: Request, items: Mapping[int, PlannedItem]) -> _Answers:
        """Ask for all items, those that are refused apart; one request for each place that they go to."""
        places: dict[str, list[int]] = {}
        for position, each in items.items():
            if not isinstance(each.plan, InvalidError):
                places.setdefault(each.place(request.target), []).append(position)
        exchange, top, raws = (
            _NOTHING_ASKED,
            MultiSearchResponse.parse(_NOTHING_ASKED.body, 0),
            dict[int, Raw](),
        )
        for place, positions in places.items():
            body = b"".join(items[position].lines() for position in positions)
            exchange = self._upstream.exchange(request.method, place, plain_headers(request), body)
            if exchange.status != 200:
                raise RefusedError(exchange)
            part = MultiSearchResponse.parse(exchange.body, len(positions))
            raws |= zip(positions, part.items, strict=True)
            top = part.add_time_of(top)
        return _Answers(exchange, top, raws)

    def _told(
        self,
        items: Mapping[int, PlannedItem],
        answers: _Answers,
        vectors: Mapping[int, Vector],
        clock: StageClock,
        texts: WindowTexts,
    ) -> dict[int, _Told]:
        """Return the items' parts of the answer, without those whose widened search failed."""
        told, style, is_patient = {}, answers.whole.style, True
        for position, each in items.items():
            if isinstance(each.plan, InvalidError):
                told[position] = _Told(_error(400, "illegal_argument_exception", each.plan, style), each.word)
            elif not isinstance(each.plan, Plan):
                told[position] = _told_of(each, answers.raws[position], style)
            else:
                plan = each.plan if is_patient else _impatient(each.plan)
                found = self._reranked(plan, answers.raws[position], vectors[position], clock, texts)
                if found is not None:
                    told[position] = found
                    is_patient = is_patient and found.word != "deadline"
        return told

    def _reranked(
        self, plan: Plan, raw: Raw, vector: Vector, clock: StageClock, texts: WindowTexts
    ) -> _Told | None:
        """Return one item reranked or as a first-stage page; None where its widened search failed."""
        try:
            status = read_error_status(raw)
            if holds_for_the_clients_own(status, bytes(raw)):
                return _Told(raw, "not_enabled" if status in DENIED else "upstream")
            if status is not None:
                raise UnusableResponseError(f"expected an answer, found {bytes(raw)[:500]!r}")
            found = self._page(plan, raw, vector, clock, texts)
        except UnusableResponseError as error:
            _log.warning("the widened search of an item failed, so the client's own is sent: %s", error)
            return None
        return found

    def _page(self, plan: Plan, raw: Raw, vector: Vector, clock: StageClock, texts: WindowTexts) -> _Told:
        with clock.stage("read"):
            response = SearchResponse.parse(bytes(raw), within=DEPTH_OF_AN_ITEM)
        scored = scored_window(
            response, plan, self._model, vector, clock, texts, has_sources=carries_sources(plan)
        )
        if isinstance(scored, RerankFailedError):
            _log.warning("item not reranked, reason=%s: %s", scored.reason, scored)
            if plan.settings.on_failure == "error":
                return _Told(_failed(scored, response.style), scored.reason)
        scores = None if isinstance(scored, RerankFailedError) else scored
        with clock.stage("page"):
            page = RerankedPage(response, plan, self._model.name, scores).written(
                lambda positions: [response.hits[position] for position in positions]
            )
        return _Told(Raw(page), scored.reason if isinstance(scored, RerankFailedError) else APPLIED)

    def _asked_again(
        self, request: Request, failed: Mapping[int, PlannedItem], style: Style
    ) -> dict[int, _Told]:
        """Return failed items as OpenSearch answers the client's own; an error to all is one to each."""
        try:
            raws = self._asked(request, failed).raws
        except RefusedError as error:
            raws = dict.fromkeys(failed, _error_to_each(error.exchange, style))
        return {position: _told_of(each, raws[position], style) for position, each in failed.items()}


def _may_give_up(each: PlannedItem) -> bool:
    """Whether an item may be passed through; if failures are errors, the encoder alone decides.

    One whose earlier page was reranked may not.
    """
    plan = each.plan
    return isinstance(plan, Plan) and plan.settings.on_failure != "error" and not plan.follows_page


def _told_of(each: PlannedItem, raw: Raw, style: Style) -> _Told:
    """Return an item that was passed through; a refusal does not tell whether its index has settings."""
    is_denied = read_error_status(raw) in DENIED
    return _Told(each.cut(raw, style), "not_enabled" if is_denied else each.word)


def _impatient(plan: Plan) -> Plan:
    """Return the plan of an item that waits for no vector, since one before it has waited in vain."""
    return replace(plan, settings=msgspec.structs.replace(plan.settings, deadline_ms=0))


def _failed(error: RerankFailedError, style: Style) -> Raw:
    """Return what `on_failure: error` asks for."""
    return _error(503, "rerank_failed_exception", f"reranking failed, reason={error.reason}: {error}", style)


def _error(status: int, type_name: str, reason: object, style: Style) -> Raw:
    body = msgspec.json.decode(error_body(status, type_name, str(reason)))
    return write_value(body, style, DEPTH_OF_AN_ITEM)


def _error_to_each(exchange: Exchange, style: Style) -> Raw:
    """Return an error to all items as one item has it, which is the same form."""
    try:
        error = msgspec.json.decode(exchange.body, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        error = {}
    if "error" in error and "status" in error:
        return write_value(error, style, DEPTH_OF_AN_ITEM)
    found = exchange.body[:500].decode(errors="replace")
    return _error(exchange.status, "upstream_exception", found, style)

"""One search that is reranked: `run` -> `_window` (in flight while the query is encoded) -> `_page`.

Whatever goes wrong once the window is there gives the first-stage page, and `Rerank-Status` says so.
"""

import logging
from collections.abc import Sequence

from opensearch.fields.vector_field import Hit, vector_field
from opensearch.search.plan import Plan
from opensearch.search.response import SearchResponse, UnusableResponseError, read_hit_name
from opensearch.search.window_request import (
    SEQ_NO,
    HitName,
    SearchCall,
    asks_much_of_each_hit,
    can_split,
    request_page_hits,
    request_window,
    request_window_vectors,
)
from plugin.encoding.model import Model
from plugin.encoding.query_future import QueryFuture
from plugin.errors import RerankFailedError, error_body
from plugin.http.headers import Headers, select_warnings
from plugin.http.messages import Request, Response
from plugin.search.hit_sizes import HitSizes
from plugin.search.page import HitsAt, RerankedPage
from plugin.search.scores import WindowScores
from plugin.search.scoring import scored_window
from plugin.search.verification import WindowTexts, carries_sources
from plugin.telemetry.stage_clock import StageClock
from plugin.upstream.client import Exchange, Upstream

_RETURNED = frozenset({401, 403, 429})
_TRIPPED = b"circuit_breaking_exception"

_log = logging.getLogger("twinrank.search")


class AmbiguousHitsError(Exception):
    """What was asked for by name has several answers: equal texts of equal sequence number in two shards."""


class RerankedSearch:
    """Runs planned searches on one OpenSearch with one model."""

    def __init__(self, upstream: Upstream, model: Model) -> None:
        self._upstream = upstream
        self._model = model
        self._sizes = HitSizes()

    def run(self, request: Request, plan: Plan, clock: StageClock) -> Response:
        """Answer one search.

        Raises:
            RerankFailedError: there will be no query vector; nothing was asked of OpenSearch then.
            UnusableResponseError: OpenSearch refuses the widened search, or answers it partially.
            UpstreamError: OpenSearch cannot be asked.
        """
        if self._is_worth_splitting(plan):
            try:
                return self._run(request, plan, clock, is_split=True)
            except AmbiguousHitsError as error:
                _log.info("the page's hits are asked for with the window: %s", error)
        return self._run(request, plan, clock, is_split=False)

    def _run(self, request: Request, plan: Plan, clock: StageClock, *, is_split: bool) -> Response:
        vector = self._model.vector_in_time(plan)
        with clock.stage("opensearch"):
            exchange = self._ask(request, request_window_vectors(plan) if is_split else request_window(plan))
        return self._reordered(request, plan, clock, exchange, vector, is_split=is_split)

    def _reordered(
        self, request: Request, plan: Plan, clock: StageClock, exchange: Exchange, vector: QueryFuture,
        *, is_split: bool,
    ) -> Response:  # fmt: skip
        if holds_for_the_clients_own(exchange.status, exchange.body):
            return answered(exchange, exchange.body, "skipped; reason=upstream", clock)
        with clock.stage("read"):
            response = read(exchange, is_filtered=plan.filter_path is not None)
        hits_at = self._fetched(request, plan, response, clock) if is_split else self._own(plan, response)
        texts, has_sources = WindowTexts(self._upstream, request), is_split or carries_sources(plan)
        scored = scored_window(response, plan, self._model, vector, clock, texts, has_sources=has_sources)
        return self._page(exchange, response, plan, scored, hits_at, clock)

    def _page(
        self,
        exchange: Exchange,
        response: SearchResponse,
        plan: Plan,
        scored: WindowScores | RerankFailedError,
        hits_at: HitsAt,
        clock: StageClock,
    ) -> Response:
        if isinstance(scored, RerankFailedError):
            _log.warning("search not reranked, reason=%s: %s", scored.reason, scored)
            if plan.settings.on_failure == "error":
                return refused(scored, clock)
        scores = None if isinstance(scored, RerankFailedError) else scored
        with clock.stage("page"):
            page = RerankedPage(response, plan, self._model.name, scores).written(hits_at)
        return answered(exchange, page, status_of(scored, plan, self._model.name), clock)

    def _is_worth_splitting(self, plan: Plan) -> bool:
        num_left_out = plan.num_hits - (plan.page_end - plan.page_start)
        is_worth = asks_much_of_each_hit(plan) or self._sizes.are_worth_leaving_out(
            plan.request.path, num_left_out
        )
        return is_worth and can_split(plan)

    def _own(self, plan: Plan, response: SearchResponse) -> HitsAt:
        """Return what takes the page's hits from the window's own answer."""
        self._sizes.seen(plan.request.path, response.num_bytes, len(response.hits))
        return lambda positions: [response.hits[position] for position in positions]

    def _fetched(self, request: Request, plan: Plan, response: SearchResponse, clock: StageClock) -> HitsAt:
        """Return what asks OpenSearch for the page's hits."""

        def hits_at(positions: Sequence[int]) -> list[Hit]:
            field = plan.settings.field
            names = [read_hit_name(response.hits[position], field) for position in positions]
            if not names:
                return []
            with clock.stage("fetch"):
                fetched = read(self._ask(request, request_page_hits(plan, names, response.num_shards)))
            self._sizes.seen(plan.request.path, fetched.num_bytes, len(fetched.hits))
            return [_shown(hit, plan, response) for hit in _found(names, fetched, field)]

        return hits_at

    def _ask(self, request: Request, asked: SearchCall) -> Exchange:
        return self._upstream.exchange(request.method, asked.target, plain_headers(request), asked.body)


def _found(names: Sequence[HitName], fetched: SearchResponse, field: str) -> list[Hit]:
    """Return the hits of these names, in order.

    Raises:
        AmbiguousHitsError: two hits of one name.
        UnusableResponseError: one has gone, or was changed, in between.
    """
    by_name: dict[HitName, list[Hit]] = {}
    for hit in fetched.hits:
        by_name.setdefault(read_hit_name(hit, field), []).append(hit)
    for name in names:
        if len(by_name.get(name, ())) > 1 or names.count(name) > 1:
            raise AmbiguousHitsError(f"{name.index} has several hits of sequence number {name.seq_no}")
        if name not in by_name:
            raise UnusableResponseError(
                f"expected the page's hits, found number {name.seq_no} of {name.index} gone in between"
            )
    return [by_name[name][0] for name in names]


def _shown(hit: Hit, plan: Plan, response: SearchResponse) -> Hit:
    """Return a hit without the sequence number by which it was found, unless the client asks for it."""
    asked = plan.request.docvalue_fields
    is_asked = SEQ_NO in [field.get("field") if isinstance(field, dict) else field for field in asked]
    return hit if is_asked else vector_field(SEQ_NO).remove_from_fields(hit, response.style)


def holds_for_the_clients_own(status: int | None, body: bytes) -> bool:
    """Whether an answer to a widened request would be the client's own too, so that it is not repeated.

    In a tripped circuit breaker's 429 the request was too large for OpenSearch's memory, which the client's
    own may not be.
    """
    return status in _RETURNED and _TRIPPED not in body


def read(exchange: Exchange, *, is_filtered: bool = False) -> SearchResponse:
    """Return a complete answer.

    Raises:
        UnusableResponseError: an error, or no complete answer to a search.
    """
    warnings = select_warnings(exchange.headers)
    if exchange.status != 200:
        found = f"{exchange.status}: {exchange.body[:500]!r}"
        raise UnusableResponseError(f"expected status 200, found {found}", warnings)
    try:
        return SearchResponse.parse(exchange.body, is_filtered=is_filtered)
    except UnusableResponseError as error:
        raise UnusableResponseError(str(error), warnings) from error


def status_of(scored: WindowScores | RerankFailedError, plan: Plan, model_name: str) -> str:
    """Return what `Rerank-Status` says."""
    if isinstance(scored, RerankFailedError):
        return f"skipped; reason={scored.reason}"
    num_scored = scored.ranking.num_scored
    fallback = "" if plan.fallback is None else f"; fallback={plan.fallback}"
    stale = "" if scored.num_stale is None else f"; stale={scored.num_stale}"
    where = f"window={len(scored)}; scored={num_scored}{stale}; model={model_name}; execution=sidecar"
    return f"applied; {where}{fallback}"


def answered(exchange: Exchange, body: bytes, status: str, clock: StageClock) -> Response:
    """Return an answer with OpenSearch's status and headers but a body of our own."""
    kept = tuple(header for header in exchange.headers if header[0].lower() != "content-length")
    return Response(
        exchange.status, (*kept, ("Rerank-Status", status), clock.header()), body, exchange.reason
    )


def plain_headers(request: Request) -> Headers:
    """The caller's own headers; our body is plain JSON, and so must the answer be."""
    kept = request.headers_without("accept-encoding", "content-encoding", "content-type")
    return (*kept, ("Content-Type", "application/json"))


def refused(error: RerankFailedError, clock: StageClock) -> Response:
    """Return what `on_failure: error` asks for."""
    body = error_body(503, "rerank_failed_exception", f"reranking failed, reason={error.reason}: {error}")
    status = "Rerank-Status", f"skipped; reason={error.reason}"
    return Response(503, (("Content-Type", "application/json"), status, clock.header()), body)

"""One search whose window is scored in the proxy: `run` -> `_run` -> `_build_page`.

OpenSearch answers the window while the query is encoded. If anything goes wrong once the window is there, the
client gets the first-stage page, and `Rerank-Status` says so.
"""

import logging
import threading
from collections.abc import Sequence

from cachetools import LRUCache

from opensearch.fields.doc_values import refuses_doc_values
from opensearch.fields.vector_field import Hit, vector_field
from opensearch.search.plan import Plan
from opensearch.search.response import SearchResponse, UnusableResponseError, read_hit_name
from opensearch.search.window_request import (
    SEQ_NO,
    HitName,
    asks_much_of_each_hit,
    can_split,
    naming_field,
    request_page_hits,
    request_window,
    request_window_vectors,
)
from plugin.encoding.model import Model
from plugin.encoding.pending_query import PendingQuery
from plugin.errors import RerankFailedError
from plugin.http.messages import Request, Response
from plugin.search.failure import build_failure
from plugin.search.page import HitsAt, RerankedPage
from plugin.search.scores import WindowScores
from plugin.search.scoring import score_window
from plugin.search.upstream_exchange import ask, build_response, is_final, read_response, work_on
from plugin.search.verification import WindowTexts, carries_sources
from plugin.telemetry.outcome import SearchOutcome
from plugin.upstream.client import Exchange, Upstream

WORTH_BYTES = 200_000
"""Bytes of hits, vectors included, that are worth a second request if no page shows them."""

_SHARE_OF_THE_NEWEST = 0.2
_MAX_TARGETS = 10_000

_log = logging.getLogger("twinrank.search")


class AmbiguousHitsError(Exception):
    """What was asked for by name has several answers: equal texts of equal sequence number in two shards."""


class SidecarSearch:
    """Runs planned searches on one OpenSearch with one model."""

    def __init__(self, upstream: Upstream, model: Model) -> None:
        self._upstream = upstream
        self._model = model
        self._sizes = HitSizes()

    def run(self, request: Request, plan: Plan) -> Response:
        """Answer one search.

        Raises:
            RerankFailedError: there will be no query vector; nothing was asked of OpenSearch then.
            UnusableResponseError: OpenSearch refuses the widened search, or answers it partially.
            UpstreamError: OpenSearch cannot be asked.
        """
        if self._is_worth_splitting(plan):
            try:
                return self._run(request, plan, is_split=True)
            except AmbiguousHitsError as error:
                if plan.must_split:
                    raise RerankFailedError("docvalue_fields", str(error)) from error
                _log.info("the page's hits are asked for with the window: %s", error)
        return self._run(request, plan, is_split=False)

    def _run(self, request: Request, plan: Plan, *, is_split: bool) -> Response:
        """Ask for the window, or for its vectors alone, while the query is encoded."""
        context, query = request.context, self._model.submit_queries(plan)
        with context.stage("opensearch"):
            window = request_window_vectors(plan) if is_split else request_window(plan)
            exchange = ask(self._upstream, request, window)
        if is_final(exchange.status, exchange.body):
            outcome = SearchOutcome.skipped("upstream", context.stages_ms())
            return build_response(exchange, exchange.body, outcome)
        reads_doc_values = plan.doc_values or plan.settings.vectors == "doc_values"
        if reads_doc_values and exchange.status == 400 and refuses_doc_values(exchange.body):
            raise RerankFailedError("doc_values", f"OpenSearch refuses a field: {exchange.body[:500]!r}")

        def order() -> Response:
            return self._order(request, plan, exchange, query, is_split=is_split)

        return work_on(exchange, order, num_hits=plan.num_hits)

    def _order(
        self, request: Request, plan: Plan, exchange: Exchange, query: PendingQuery, *, is_split: bool
    ) -> Response:
        """Read the window, or its vectors alone, and order it."""
        with request.context.stage("read"):
            response = read_response(exchange, is_filtered=plan.filter_path is not None)
        hits_at = self._fetch_hits(request, plan, response) if is_split else self._take_hits(plan, response)
        return self._build_page(request, plan, exchange, response, query, hits_at, is_split=is_split)

    def _build_page(
        self,
        request: Request,
        plan: Plan,
        exchange: Exchange,
        response: SearchResponse,
        query: PendingQuery,
        hits_at: HitsAt,
        *,
        is_split: bool,
    ) -> Response:
        """Score the window and write the page, in first-stage order if there are no scores."""
        context, texts, reason = request.context, WindowTexts(self._upstream, request), ""
        has_sources = is_split or carries_sources(plan)
        scores: WindowScores | None
        try:
            scores = score_window(response, plan, self._model, query, texts, has_sources=has_sources)
        except RerankFailedError as error:
            _log.warning("search not reranked, reason=%s: %s", error.reason, error)
            if plan.page_end > plan.num_hits:  # the page lies beyond a window that was to be cut
                raise
            if plan.settings.on_failure == "error":
                return build_failure(error, context)
            scores, reason = None, error.reason
        with context.stage("page"):
            model = self._model.choose(plan.bundle)
            page = RerankedPage(response, plan, model, scores).write(hits_at)
        stages_ms = context.stages_ms()
        outcome = (
            SearchOutcome.skipped(reason, stages_ms, rules=plan.rules.describe())
            if scores is None
            else scores.build_outcome(stages_ms)
        )
        return build_response(exchange, page, outcome)

    def _is_worth_splitting(self, plan: Plan) -> bool:
        num_left_out = plan.num_hits - (plan.page_end - plan.page_start)
        if plan.must_split:
            return True
        lacks_vectors = plan.settings.vectors == "source" and not carries_sources(plan)
        is_worth = (
            lacks_vectors
            or asks_much_of_each_hit(plan)
            or self._sizes.are_worth_leaving_out(plan.request.path, num_left_out)
        )
        return is_worth and can_split(plan)

    def _take_hits(self, plan: Plan, response: SearchResponse) -> HitsAt:
        """Return what takes the page's hits from the window's own answer."""
        self._sizes.record(plan.request.path, response.num_bytes, len(response.hits))
        return lambda positions: [response.hits[position] for position in positions]

    def _fetch_hits(self, request: Request, plan: Plan, response: SearchResponse) -> HitsAt:
        """Return what asks OpenSearch for the page's hits."""

        def hits_at(positions: Sequence[int]) -> list[Hit]:
            field = naming_field(plan)
            names = [read_hit_name(response.hits[position], field) for position in positions]
            if not names:
                return []
            with request.context.stage("fetch"):
                page = request_page_hits(plan, names, response.num_shards)
                fetched = read_response(ask(self._upstream, request, page))
            self._sizes.record(plan.request.path, fetched.num_bytes, len(fetched.hits))
            return [_without_seq_no(hit, plan, response) for hit in _find_hits(names, fetched, field)]

        return hits_at


class HitSizes:
    """How many bytes a hit of each target has: a moving average, so that fat hits are not all asked for."""

    def __init__(self) -> None:
        self._bytes: LRUCache[str, float] = LRUCache(_MAX_TARGETS)
        self._lock = threading.Lock()

    def are_worth_leaving_out(self, target: str, num_hits: int) -> bool:
        """Whether so many hits of a target cost more than a second request; not if none is known."""
        with self._lock:
            return self._bytes.get(target, 0.0) * num_hits > WORTH_BYTES

    def record(self, target: str, num_bytes: int, num_hits: int) -> None:
        """Note an answer with whole hits."""
        if not num_hits:
            return
        with self._lock:
            before = self._bytes.get(target)
            newest = num_bytes / num_hits
            self._bytes[target] = (
                newest if before is None else before + _SHARE_OF_THE_NEWEST * (newest - before)
            )


def _find_hits(names: Sequence[HitName], fetched: SearchResponse, field: str | None) -> list[Hit]:
    """Return the hits of these names, in order; `field` names them, None: their `_id` does.

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


def _without_seq_no(hit: Hit, plan: Plan, response: SearchResponse) -> Hit:
    """Return a hit without the sequence number by which it was found, unless the client asks for it."""
    asked = plan.request.docvalue_fields
    is_asked = SEQ_NO in [field.get("field") if isinstance(field, dict) else field for field in asked]
    return hit if is_asked else vector_field(SEQ_NO).remove_from_fields(hit, response.style)

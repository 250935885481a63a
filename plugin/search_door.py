"""One `_search` from the client's request to the answer: reranked, or passed through with the reason.

The way of a search: `answer` -> `_plan` -> `_rerank` (the widened request is in flight while the query is
encoded) -> `_page`. Whatever goes wrong after the plan gives the first-stage page, and `Rerank-Status`
says so.
"""

import logging

import msgspec

from opensearch.search_plan import Plan, Skip, plan_search
from opensearch.search_request import NotUnderstoodError, SearchRequest
from opensearch.search_response import SearchResponse, UnusableResponseError, VectorField
from plugin.errors import RerankFailedError, UpstreamError, error_body
from plugin.http_messages import Answer, Headers, Request, gunzipped
from plugin.model import Model
from plugin.reranking import rank_hits
from plugin.settings_cache import SettingsCache
from plugin.stage_clock import StageClock
from plugin.upstream import Exchange, Upstream

MAX_BODY_BYTES = 10 * 1024 * 1024
"""A longer search is passed through unread."""

_RETURNED = frozenset({401, 403, 429})
"""Answers to a widened request that hold for the client's own request too, so it is not repeated."""

_log = logging.getLogger("twinrank.search")


class SearchDoor:
    """Answers searches in front of one OpenSearch with one model."""

    def __init__(self, upstream: Upstream, settings: SettingsCache, model: Model) -> None:
        self._upstream = upstream
        self._settings = settings
        self._model = model

    def answer(self, request: Request) -> Answer:
        """Answer one search.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        clock = StageClock()
        body = request.stream.read(MAX_BODY_BYTES + 1)
        with clock.stage("plan"):
            plan = self._plan(request, body)
        if isinstance(plan, Skip):
            return self._passed_through(request, body, plan.reason, clock)
        try:
            return self._rerank(request, plan, clock)
        except (UnusableResponseError, UpstreamError) as error:
            _log.warning("the widened search failed, so the client's own is sent: %s", error)
            return self._passed_through(request, body, "upstream", clock)
        except Exception:  # noqa: BLE001  # the app's edge: a fault of ours must not fail a search
            _log.exception(
                "reranking failed in a way that nobody foresaw, so the client's own search is sent"
            )
            return self._passed_through(request, body, "internal", clock)

    def _plan(self, request: Request, body: bytes) -> Plan | Skip:
        try:
            search = SearchRequest.parse(request.target, _plain_json(request, body))
        except NotUnderstoodError as error:
            return Skip(error.reason)
        settings = self._settings.of(request, search)
        if isinstance(settings, Skip):
            return settings
        if settings.model != self._model.name:
            return Skip("model")
        return plan_search(search, settings)

    def _rerank(self, request: Request, plan: Plan, clock: StageClock) -> Answer:
        vector = self._model.query_vectors.submit(plan.query_text)
        with clock.stage("opensearch"):
            exchange = self._upstream.exchange(
                request.method, plan.target, _widened_headers(request), plan.body
            )
        if exchange.status in _RETURNED:
            return _answered(exchange, exchange.body, "skipped; reason=upstream", clock)
        with clock.stage("read"):
            response, packed = _read(exchange, VectorField(plan.settings.field))
        try:
            ranking = rank_hits(response, packed, plan.settings, self._model, vector, clock)
        except RerankFailedError as error:
            return _not_reranked(error, exchange, response, plan, clock)
        beyond = range(len(ranking.order), len(response.hits))
        status = (
            f"applied; window={len(ranking.order)}; scored={ranking.num_scored};"
            f" model={self._model.name}; execution=sidecar"
        )
        page = _page(response, [*ranking.order.tolist(), *beyond], plan, clock)
        return _answered(exchange, page, status, clock)

    def _passed_through(self, request: Request, read: bytes, reason: str, clock: StageClock) -> Answer:
        """Send the client's own bytes and stream OpenSearch's answer."""
        with clock.stage("opensearch"):
            streamed = self._upstream.stream(
                request.method, request.target, request.headers, request.blocks(read), request.content_length
            )
        status = "Rerank-Status", f"skipped; reason={reason}"
        return Answer(streamed.status, (*streamed.headers, status, clock.header()), streamed, streamed.reason)


def _plain_json(request: Request, body: bytes) -> bytes:
    """Return a request's body as JSON text, unpacked.

    Raises:
        NotUnderstoodError: too long, packed otherwise than by gzip, or JSON is neither sent nor wanted.
    """
    if len(body) > MAX_BODY_BYTES:
        raise NotUnderstoodError("body_size")
    content_type, accept = request.header("content-type").lower(), request.header("accept").lower()
    if body and content_type and "json" not in content_type:
        raise NotUnderstoodError("content_type")
    if accept and "json" not in accept and "*/*" not in accept:
        raise NotUnderstoodError("accept")
    encoding = request.header("content-encoding").lower()
    if encoding not in ("", "identity", "gzip"):
        raise NotUnderstoodError("content_encoding")
    plain = gunzipped(body, MAX_BODY_BYTES) if encoding == "gzip" else body
    if plain is None:
        raise NotUnderstoodError("content_encoding")
    return plain


def _widened_headers(request: Request) -> Headers:
    """The caller's own headers; our body is plain JSON, and so must the answer be."""
    kept = request.headers_without("accept-encoding", "content-encoding", "content-type")
    return (*kept, ("Content-Type", "application/json"))


def _read(exchange: Exchange, field: VectorField) -> tuple[SearchResponse, list[bytes | None]]:
    """Return the answer, and each hit's stored vector.

    Raises:
        UnusableResponseError: an error, or no complete answer to a search.
    """
    if exchange.status != 200:
        raise UnusableResponseError(f"expected status 200, found {exchange.status}: {exchange.body[:500]!r}")
    response = SearchResponse.parse(exchange.body)
    return response, [field.packed(hit) for hit in response.hits]


def _not_reranked(
    error: RerankFailedError, exchange: Exchange, response: SearchResponse, plan: Plan, clock: StageClock
) -> Answer:
    """Return what `on_failure` asks for: the first-stage page, which the answer holds, or an error."""
    _log.warning("search not reranked, reason=%s: %s", error.reason, error)
    status = f"skipped; reason={error.reason}"
    if plan.settings.on_failure == "first_stage":
        return _answered(exchange, _page(response, range(len(response.hits)), plan, clock), status, clock)
    body = error_body(503, "rerank_failed_exception", f"reranking failed, reason={error.reason}: {error}")
    return Answer(
        503, (("Content-Type", "application/json"), ("Rerank-Status", status), clock.header()), body
    )


def _page(response: SearchResponse, order: "list[int] | range", plan: Plan, clock: StageClock) -> bytes:
    with clock.stage("page"):
        cut = dict if plan.keep_vector else VectorField(plan.settings.field).cut
        page = response.page(order, plan.page_start, plan.page_end, cut)
        return msgspec.json.format(page, indent=2) if plan.is_pretty else page


def _answered(exchange: Exchange, body: bytes, status: str, clock: StageClock) -> Answer:
    """Return an answer with OpenSearch's status and headers but a body of our own."""
    kept = tuple(header for header in exchange.headers if header[0].lower() != "content-length")
    return Answer(exchange.status, (*kept, ("Rerank-Status", status), clock.header()), body, exchange.reason)

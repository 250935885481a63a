"""One search that OpenSearch rescores itself: the client's own request with one clause more.

The query's vector is awaited first, since it is part of the request; hits are scored on the data nodes.
"""

import time
from dataclasses import replace
from typing import Any

import numpy as np

from opensearch.search.cluster_rescore import build_cluster_rescore
from opensearch.search.plan import Plan
from opensearch.search.window_request import request_rescored_page
from plugin.encoding.model import Model
from plugin.encoding.query_future import await_vector
from plugin.errors import RerankFailedError
from plugin.http.messages import Request, Response
from plugin.search.page import RerankedPage
from plugin.search.upstream_exchange import ask, build_response, is_final, read_response, work_on
from plugin.telemetry.outcome import SearchOutcome
from plugin.upstream.client import Exchange, Upstream
from reranker.arrays import Floats
from reranker.crossing import Cosine
from reranker.integer_query import quantise_query


def has_script(model: Model) -> bool:
    """Whether OpenSearch can compute a model's crossing layer: the script knows the cosine alone."""
    return isinstance(model.crossing, Cosine)


class ClusterSearch:
    """Runs planned searches on one OpenSearch with one model, the crossing on the data nodes."""

    def __init__(self, upstream: Upstream, model: Model) -> None:
        self._upstream = upstream
        self._model = model

    def run(self, request: Request, plan: Plan) -> Response:
        """Answer one search; how many hits had a vector only the data nodes know.

        Raises:
            RerankFailedError: there is no query vector; nothing was asked of OpenSearch then.
            UnusableResponseError: OpenSearch refuses the search with the clause, or answers it partially.
            UpstreamError: OpenSearch cannot be asked.
        """
        context = request.context
        with context.stage("encode_wait"):
            query = self._encode(plan, plan.settings.deadline_ms / 1000 - context.queued_s)
        asked = request_rescored_page(plan, self._build_clause(plan, query))
        with context.stage("opensearch"):
            exchange = ask(self._upstream, request, asked)
        if is_final(exchange.status, exchange.body):
            outcome = SearchOutcome.skipped("upstream", context.stages_ms())
            return build_response(exchange, exchange.body, outcome)
        return work_on(exchange, lambda: self._write_page(request, plan, exchange))

    def _write_page(self, request: Request, plan: Plan, exchange: Exchange) -> Response:
        """Write the page that OpenSearch has rescored, without what is the proxy's."""
        context = request.context
        with context.stage("page"):
            response = read_response(exchange, is_filtered=plan.filter_path is not None)
            as_it_is = replace(plan, page_start=0, page_end=len(response.hits))
            page = RerankedPage(response, as_it_is, self._model, None).write(lambda _: response.hits)
        outcome = SearchOutcome(
            "applied",
            shard_window=plan.window_size,
            adjustments={"signals": len(plan.fusion.signals)} if plan.fusion.signals else {},
            model=self._model.name,
            bundle=self._model.bundle,
            rules=plan.rules.describe(len(plan.boosts)),
            stages_ms=context.stages_ms(),
        )
        return build_response(exchange, page, outcome)

    def _encode(self, plan: Plan, within_s: float) -> Floats:
        """Return the query's (dim,) vector, awaited for so many seconds."""
        query = await_vector(self._model.submit_query(plan), within_s)
        if query.shape != (self._model.dim,) or not np.isfinite(query).all():
            raise RerankFailedError(
                "model", f"expected {self._model.dim} finite numbers for a query, found {query}"
            )
        return query

    def _build_clause(self, plan: Plan, query: Floats) -> dict[str, Any]:
        """Return the value for the search's `rescore`, `query` being its (dim,) vector."""
        integers = quantise_query(query)
        return build_cluster_rescore(
            query=integers.values,
            scale=integers.scale,
            model_tag=self._model.model_tag,
            weight=plan.fusion.weight or 0.0,
            neutral=self._model.neutral_crossing,
            window_size=plan.window_size,
            field=plan.settings.field,
            signals=plan.fusion.signals,
            boosts=plan.boosts,
            now_ms=time.time() * 1000,
        )

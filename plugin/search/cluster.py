"""One search that OpenSearch rescores itself: the client's own request with one clause more.

The query's vector is awaited first, since it stands in the request; hits are scored on the data nodes.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from opensearch.search.cluster_rescore import build_cluster_rescore
from opensearch.search.plan import Plan
from opensearch.search.window_request import request_rescored_page
from plugin.encoding.model import Model
from plugin.encoding.query_future import await_vector
from plugin.errors import RerankFailedError
from plugin.http.arrival import queued_s
from plugin.http.messages import Request, Response
from plugin.search.page import RerankedPage
from plugin.search.sidecar import answered, holds_for_the_clients_own, plain_headers, read
from plugin.telemetry.stage_clock import StageClock
from plugin.upstream.client import Upstream
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

    def run(self, request: Request, plan: Plan, clock: StageClock) -> Response:
        """Answer one search.

        Raises:
            RerankFailedError: there is no query vector; nothing was asked of OpenSearch then.
            UnusableResponseError: OpenSearch refuses the search with the clause, or answers it partially.
            UpstreamError: OpenSearch cannot be asked.
        """
        with clock.stage("encode_wait"):
            query = self._query_vector(plan)
        asked = request_rescored_page(plan, self.clause(plan, query))
        with clock.stage("opensearch"):
            exchange = self._upstream.exchange(
                request.method, asked.target, plain_headers(request), asked.body
            )
        if holds_for_the_clients_own(exchange.status, exchange.body):
            return answered(exchange, exchange.body, "skipped; reason=upstream", clock)
        with clock.stage("page"):
            response = read(exchange, is_filtered=plan.filter_path is not None)
            as_it_is = replace(plan, page_start=0, page_end=len(response.hits))
            page = RerankedPage(response, as_it_is, self._model.name, None).written(lambda _: response.hits)
        return answered(exchange, page, self.status(plan), clock)

    def _query_vector(self, plan: Plan) -> Floats:
        within_s = plan.settings.deadline_ms / 1000 - queued_s()
        query = await_vector(self._model.vector_in_time(plan), within_s)
        if query.shape != (self._model.dim,) or not np.isfinite(query).all():
            raise RerankFailedError(
                "model", f"expected {self._model.dim} finite numbers for a query, found {query}"
            )
        return query

    def clause(self, plan: Plan, query: Floats) -> dict[str, Any]:
        """Return the value for the search's `rescore`, `query` being its (dim,) vector."""
        integers, weight = quantise_query(query), plan.settings.fusion.weight
        return build_cluster_rescore(
            query=integers.values,
            scale=integers.scale,
            model_tag=self._model.model_tag,
            weight=self._model.fusion.weight if weight is None else weight,
            neutral=self._model.neutral_crossing,
            window_size=plan.window_size,
            field=plan.settings.field,
        )

    def status(self, plan: Plan) -> str:
        """Return what `Rerank-Status` says; how many hits had a vector only the data nodes know."""
        window = f"window={plan.window_size}/shard"
        return f"applied; {window}; model={self._model.name}; execution=cluster"

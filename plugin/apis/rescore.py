"""`/rescore`: the rescore clause for a query text, which a search pipeline adds to the search."""

from typing import Any

from opensearch.search.cluster_rescore import build_cluster_rescore
from plugin.apis.document_scores import encode_query
from plugin.apis.errors import ApiError
from plugin.apis.rerank import check_model
from plugin.apis.schemas import RescoreAnswer, RescoreRequest, parse_request
from plugin.encoding.model import Model
from reranker.crossing import Cosine
from reranker.integer_query import quantise_query

NO_CHANGE: dict[str, Any] = {"window_size": 1, "query": {"rescore_query": {"match_none": {}}}}
"""A clause that changes no hit's rank and no score."""


class RescoreEndpoint:
    """Encodes the query; OpenSearch does the rest. A query in an unreadable script changes nothing."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def __call__(self, body: bytes) -> RescoreAnswer:
        """Answer one request.

        Raises:
            ApiError: the request has another shape, or the crossing layer has no script.
            RerankFailedError: it cannot be answered now.
        """
        request = parse_request(body, RescoreRequest)
        model = self._model
        check_model(model, request.model)
        if not isinstance(model.crossing, Cosine):
            raise ApiError(501, f"expected a model with the cosine crossing, found {model.name}")
        if not request.input.strip():
            raise ApiError(422, "input: expected a query text, found a blank one")
        if request.languages != "any" and not model.reads(request.input):
            return RescoreAnswer(NO_CHANGE, "language")
        query = quantise_query(encode_query(model, request.input))
        return RescoreAnswer(
            build_cluster_rescore(
                query=query.values,
                scale=query.scale,
                model_tag=model.model_tag,
                weight=model.fusion.weight if request.weight is None else request.weight,
                neutral=model.neutral_crossing,
                window_size=int(request.window_size),
                field=request.field,
            )
        )

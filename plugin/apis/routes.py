"""The endpoints beside search, by their paths."""

import flask

from plugin.apis.api_view import Work, api_view
from plugin.apis.document_scores import DocumentScores
from plugin.apis.embeddings import EmbeddingsEndpoint
from plugin.apis.errors import ErrorShape, cohere_error, openai_error, opensearch_error, tei_error
from plugin.apis.rerank import RerankEndpoint
from plugin.apis.rescore import RescoreEndpoint
from plugin.apis.tokens import BearerTokens
from plugin.encoding.model import Model
from plugin.encoding.on_demand_encoder import DocumentVectors

API_PATHS = frozenset({"/v1/rerank", "/v2/rerank", "/rerank", "/v1/embeddings", "/rescore"})
"""Answered here when they are sent with POST, which means nothing to OpenSearch on these paths."""


def add_api_endpoints(app: flask.Flask, model: Model, tokens: BearerTokens) -> None:
    """Add them to the app. They ask nothing of OpenSearch; `tokens` says who may call them."""
    document_vectors = DocumentVectors(model.load_document_encoder)
    rerank = RerankEndpoint(model, DocumentScores(model, document_vectors))
    works: dict[str, tuple[Work, ErrorShape]] = {
        "/v1/rerank": (rerank.cohere, cohere_error),
        "/v2/rerank": (rerank.cohere, cohere_error),
        "/rerank": (rerank.tei, tei_error),
        "/v1/embeddings": (EmbeddingsEndpoint(model, document_vectors), openai_error),
        "/rescore": (RescoreEndpoint(model), opensearch_error),
    }
    for path, (work, error_shape) in works.items():
        app.add_url_rule(path, path, api_view(work, error_shape, tokens), methods=["POST"])

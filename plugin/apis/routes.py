"""The endpoints beside search, by their paths, and what each does around its own work.

A request passes its token, then its body's limits. Errors are answered in the shape of the endpoint's API.
"""

from collections.abc import Callable
from typing import Any

import flask
import msgspec

from plugin.apis.document_scores import DocumentScores
from plugin.apis.embeddings import EmbeddingsEndpoint
from plugin.apis.errors import (
    BODY_LIMIT_BYTES,
    ApiError,
    ErrorShape,
    format_cohere_error,
    format_openai_error,
    format_opensearch_error,
    format_tei_error,
)
from plugin.apis.rerank import RerankEndpoint
from plugin.apis.rescore import RescoreEndpoint
from plugin.apis.schemas import Warned
from plugin.apis.tokens import BearerTokens
from plugin.encoding.model import Model
from plugin.encoding.on_demand_encoder import OnDemandEncoder
from plugin.errors import RerankFailedError

API_PATHS = frozenset({"/v1/rerank", "/v2/rerank", "/rerank", "/v1/embeddings", "/rescore"})
"""Answered here when they are sent with POST, which means nothing to OpenSearch on these paths."""

Work = Callable[[bytes], Any]
"""A request's body to what is answered as JSON."""

View = Callable[[], flask.Response]

WARNING = "Warning"
"""The header in which OpenSearch warns too: 299, who warns, and the text in quotes."""


def add_api_endpoints(app: flask.Flask, model: Model, tokens: BearerTokens) -> None:
    """Add them to the app. They ask nothing of OpenSearch; `tokens` says who may call them."""
    document_vectors = OnDemandEncoder(model.load_document_encoder)
    rerank = RerankEndpoint(model, DocumentScores(model, document_vectors))
    works: dict[str, tuple[Work, ErrorShape]] = {
        "/v1/rerank": (rerank.answer_cohere, format_cohere_error),
        "/v2/rerank": (rerank.answer_cohere, format_cohere_error),
        "/rerank": (rerank.answer_tei, format_tei_error),
        "/v1/embeddings": (EmbeddingsEndpoint(model, document_vectors), format_openai_error),
        "/rescore": (RescoreEndpoint(model), format_opensearch_error),
    }
    for path, (work, error_shape) in works.items():
        app.add_url_rule(path, path, make_view(work, error_shape, tokens), methods=["POST"])


def make_view(work: Work, error_shape: ErrorShape, tokens: BearerTokens) -> View:
    """Return the Flask view for one endpoint."""

    def view() -> flask.Response:
        try:
            if not tokens.accept(flask.request.headers.get("Authorization", "")):
                raise ApiError(401, "expected a valid token: Authorization: Bearer TOKEN")
            return _build_response(work(_read_body()))
        except RerankFailedError as failed:
            error = ApiError.from_failure(failed)
        except ApiError as refused:
            error = refused
        answer = _build_json(error_shape(error), error.status)
        if error.status == 401:
            answer.headers["WWW-Authenticate"] = 'Bearer realm="twinrank"'
        if error.status == 503:
            answer.headers["Retry-After"] = "1"
        return answer

    return view


def _read_body() -> bytes:
    if flask.request.headers.get("Content-Encoding", "identity") != "identity":
        raise ApiError(415, "expected a body without Content-Encoding")
    body: bytes = flask.request.stream.read(BODY_LIMIT_BYTES + 1)
    if len(body) > BODY_LIMIT_BYTES:
        raise ApiError(413, f"expected at most {BODY_LIMIT_BYTES} bytes, found more: send several requests")
    return body


def _build_response(value: Any) -> flask.Response:  # noqa: ANN401  # any JSON value
    if not isinstance(value, Warned):
        return _build_json(value, 200)
    answer = _build_json(value.value, 200)
    answer.headers[WARNING] = f'299 twinrank "{value.warning}"'
    return answer


def _build_json(value: Any, status: int) -> flask.Response:  # noqa: ANN401  # any JSON value
    return flask.Response(msgspec.json.encode(value), status, content_type="application/json")

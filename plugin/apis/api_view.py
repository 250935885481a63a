"""What every endpoint beside search does around its own work: token, body, JSON, the API's own errors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import flask
import msgspec

from plugin.apis.errors import BODY_LIMIT_BYTES, ApiError, ErrorShape
from plugin.apis.tokens import BearerTokens
from plugin.errors import RerankFailedError

Work = Callable[[bytes], Any]
"""A request's body to what is answered as JSON."""

View = Callable[[], flask.Response]

WARNING = "Warning"
"""The header in which OpenSearch warns too: 299, who warns, and the text in quotes."""


@dataclass(frozen=True)
class Warned:
    """An answer with a warning for its header."""

    value: Any
    warning: str


def api_view(work: Work, error_shape: ErrorShape, tokens: BearerTokens) -> View:
    """Return the Flask view for one endpoint."""

    def view() -> flask.Response:
        try:
            if not tokens.accept(flask.request.headers.get("Authorization", "")):
                raise ApiError(401, "expected a valid token: Authorization: Bearer TOKEN")
            return _answer(work(_body()))
        except RerankFailedError as failed:
            error = ApiError.of(failed)
        except ApiError as refused:
            error = refused
        answer = _json(error_shape(error), error.status)
        if error.status == 401:
            answer.headers["WWW-Authenticate"] = 'Bearer realm="twinrank"'
        if error.status == 503:
            answer.headers["Retry-After"] = "1"
        return answer

    return view


def _body() -> bytes:
    if flask.request.headers.get("Content-Encoding", "identity") != "identity":
        raise ApiError(415, "expected a body without Content-Encoding")
    body: bytes = flask.request.stream.read(BODY_LIMIT_BYTES + 1)
    if len(body) > BODY_LIMIT_BYTES:
        raise ApiError(413, f"expected at most {BODY_LIMIT_BYTES} bytes, found more: send several requests")
    return body


def _answer(value: Any) -> flask.Response:  # noqa: ANN401  # any JSON value
    if not isinstance(value, Warned):
        return _json(value, 200)
    answer = _json(value.value, 200)
    answer.headers[WARNING] = f'299 twinrank "{value.warning}"'
    return answer


def _json(value: Any, status: int) -> flask.Response:  # noqa: ANN401  # any JSON value
    return flask.Response(msgspec.json.encode(value), status, content_type="application/json")

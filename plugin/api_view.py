"""What every endpoint beside search does around its own work: token, body, JSON, the API's own errors."""

from collections.abc import Callable
from typing import Any

import flask
import msgspec

from plugin.api_errors import BODY_LIMIT_BYTES, ApiError, ErrorShape
from plugin.bearer import BearerTokens
from plugin.errors import RerankFailedError

Work = Callable[[bytes], Any]
"""A request's body to what is answered as JSON."""

View = Callable[[], flask.Response]


def api_view(work: Work, error_shape: ErrorShape, tokens: BearerTokens) -> View:
    """Return the Flask view for one endpoint."""

    def view() -> flask.Response:
        try:
            if not tokens.accept(flask.request.headers.get("Authorization", "")):
                raise ApiError(401, "expected a valid token: Authorization: Bearer TOKEN")
            return _json(work(_body()), 200)
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


def _json(value: Any, status: int) -> flask.Response:  # noqa: ANN401  # any JSON value
    return flask.Response(msgspec.json.encode(value), status, content_type="application/json")

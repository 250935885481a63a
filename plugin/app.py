"""The Flask app: the proxy's own endpoints under `/_plugins/_rerank/`, and the APIs that others speak."""

from collections.abc import Callable

import flask
from werkzeug.exceptions import HTTPException

from plugin.api_endpoints import add_api_endpoints
from plugin.bearer import BearerTokens
from plugin.errors import UpstreamError, error_body
from plugin.model import Model
from plugin.upstream import Upstream

OWN_PREFIX = "/_plugins/_rerank/"
JSON = "application/json"


def create_app(upstream: Upstream, model: Model, tokens: BearerTokens) -> flask.Flask:
    """Return the app beside one OpenSearch; `tokens` says who may call what is not of OpenSearch's API."""
    app = flask.Flask("twinrank", static_folder=None)
    app.add_url_rule(f"{OWN_PREFIX}health", "health", _health_view(upstream, model))
    add_api_endpoints(app, model, tokens)
    app.register_error_handler(HTTPException, _http_error)
    return app


def _health_view(upstream: Upstream, model: Model) -> Callable[[], flask.Response]:
    def health() -> flask.Response:
        """200 while the proxy can rerank; 503 while OpenSearch cannot be asked."""
        bundle = {"name": model.name, "digest": model.digest}
        try:
            status = upstream.exchange("GET", "/", ()).status
        except UpstreamError as error:
            reason = {"status": "unavailable", "bundle": bundle, "opensearch": str(error)}
            return flask.make_response(flask.jsonify(reason), 503)
        return flask.jsonify({"status": "ok", "bundle": bundle, "opensearch": {"status": status}})

    return health


def _http_error(error: HTTPException) -> flask.Response:
    """An own endpoint that does not exist or is asked wrongly; or a fault of ours, which Flask logs."""
    status = error.code or 500
    body = error_body(status, "rerank_request_exception", f"{flask.request.path}: {error.description}")
    return flask.Response(body, status, content_type=JSON)

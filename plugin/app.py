"""The Flask app: the proxy's own endpoints under `/_plugins/_rerank/`, and the APIs that others speak."""

from collections.abc import Callable

import flask
from werkzeug.exceptions import HTTPException

from plugin.admin_answers import JSON
from plugin.admin_views import AdminViews
from plugin.api_endpoints import add_api_endpoints
from plugin.bearer import BearerTokens
from plugin.errors import UpstreamError, error_body
from plugin.guard_view import GuardView
from plugin.metrics import Metrics
from plugin.model import Model
from plugin.settings_cache import SettingsCache
from plugin.upstream import Upstream

OWN_PREFIX = "/_plugins/_rerank/"


def create_app(
    upstream: Upstream, model: Model, settings: SettingsCache, tokens: BearerTokens, metrics: Metrics
) -> flask.Flask:
    """Return the app beside one OpenSearch; `tokens` says who may call what is not of OpenSearch's API."""
    app = flask.Flask("twinrank", static_folder=None)
    app.add_url_rule(f"{OWN_PREFIX}health", "health", _health_view(upstream, model))
    app.add_url_rule(f"{OWN_PREFIX}metrics", "metrics", _metrics_view(upstream, metrics))
    AdminViews(upstream, model, settings).register(app, OWN_PREFIX)
    GuardView(upstream, model).register(app, OWN_PREFIX)
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


def _metrics_view(upstream: Upstream, metrics: Metrics) -> Callable[[], flask.Response]:
    def numbers() -> flask.Response:
        """The numbers of all workers, in Prometheus's format, for whoever may ask OpenSearch `GET /`."""
        authorization = flask.request.headers.get("Authorization", "")
        headers = (("Authorization", authorization),) if authorization else ()
        try:
            asked = upstream.exchange("GET", "/", headers)
        except UpstreamError:  # sight matters most when OpenSearch is away; nothing here is its
            asked = None
        if asked is not None and asked.status in (401, 403):
            return flask.Response(asked.body, asked.status, content_type=JSON)
        content, content_type = metrics.exposition()
        return flask.Response(content, content_type=content_type)

    return numbers


def _http_error(error: HTTPException) -> flask.Response:
    """An own endpoint that does not exist or is asked wrongly; or a fault of ours, which Flask logs."""
    status = error.code or 500
    body = error_body(status, "rerank_request_exception", f"{flask.request.path}: {error.description}")
    return flask.Response(body, status, content_type=JSON)

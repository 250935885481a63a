"""The Flask app: the proxy's own endpoints under `/_plugins/_rerank/`, and the APIs of other products."""

from collections.abc import Callable

import flask
from werkzeug.exceptions import HTTPException

from plugin.admin.experiment_views import ExperimentViews
from plugin.admin.health import HealthViews, Readiness, WorkerStatus
from plugin.admin.responses import JSON
from plugin.admin.views import AdminViews
from plugin.apis.openapi import document
from plugin.apis.routes import add_api_endpoints
from plugin.apis.tokens import BearerTokens
from plugin.encoding.model import Model
from plugin.errors import UpstreamError, error_body
from plugin.http.caller import select_caller_headers
from plugin.http.messages import Request
from plugin.lab.views import LabViews
from plugin.settings.cache import SettingsCache
from plugin.telemetry.metrics import Metrics
from plugin.upstream.client import Exchange, Upstream

OWN_PREFIX = "/_plugins/_rerank/"
_STATE = "/_cluster/state/version?filter_path=cluster_uuid"


def create_app(
    upstream: Upstream,
    model: Model,
    settings: SettingsCache,
    tokens: BearerTokens,
    metrics: Metrics,
    readiness: Readiness,
) -> flask.Flask:
    """Return the app beside one OpenSearch; `tokens` says who may call APIs that are not OpenSearch's."""
    app = flask.Flask("twinrank", static_folder=None)
    app.url_map.merge_slashes = False  # no redirects, which are HTML: an unknown path is a 404
    HealthViews(readiness, model).register(app, OWN_PREFIX)
    app.add_url_rule(f"{OWN_PREFIX}metrics", "metrics", _metrics_view(upstream, metrics))
    AdminViews(upstream, model, settings).register(app, OWN_PREFIX)
    LabViews(upstream, model, settings).register(app, OWN_PREFIX)
    ExperimentViews(upstream, model, settings).register(app, OWN_PREFIX)
    app.add_url_rule(f"{OWN_PREFIX}openapi.json", "openapi", _openapi)
    WorkerStatus(upstream, model).register(app, OWN_PREFIX)
    add_api_endpoints(app, model, tokens)
    app.register_error_handler(HTTPException, _http_error)
    return app


def _metrics_view(upstream: Upstream, metrics: Metrics) -> Callable[[], flask.Response]:
    def numbers() -> flask.Response:
        """Return the numbers of all workers for Prometheus, to callers who may ask OpenSearch `GET /`.

        Numbers by index are for callers who may read the cluster's state, which names all indices.
        """
        headers = select_caller_headers(Request.from_environ(flask.request.environ))
        try:
            with_indices = upstream.exchange("GET", _STATE, headers).status == 200
            refused = None if with_indices else _refusal(upstream.exchange("GET", "/", headers))
        except UpstreamError:  # numbers matter most if OpenSearch is away; none that are left are its
            with_indices, refused = False, None
        if refused is not None:
            return refused
        content, content_type = metrics.exposition(with_indices=with_indices)
        return flask.Response(content, content_type=content_type)

    return numbers


def _openapi() -> flask.Response:
    """Return the description of the APIs to everybody: it is public in the documentation too."""
    return flask.Response(document(), content_type=JSON)


def _refusal(asked: Exchange) -> flask.Response | None:
    if asked.status not in (401, 403):
        return None
    return flask.Response(asked.body, asked.status, content_type=JSON)


def _http_error(error: HTTPException) -> flask.Response:
    """Answer a wrong request to one of our endpoints, or an unexpected error, which Flask logs."""
    status = error.code or 500
    body = error_body(status, "rerank_request_exception", f"{flask.request.path}: {error.description}")
    return flask.Response(body, status, content_type=JSON)

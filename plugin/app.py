"""The Flask app: searches, and the proxy's own endpoints under `/_plugins/_rerank/`."""

import logging
from collections.abc import Callable

import flask
from werkzeug.exceptions import HTTPException

from plugin.errors import UpstreamError, error_body
from plugin.http_messages import Answer, Request
from plugin.model import Model
from plugin.search_door import SearchDoor
from plugin.upstream import Upstream

OWN_PREFIX = "/_plugins/_rerank/"
JSON = "application/json"

_log = logging.getLogger("twinrank")


def create_app(door: SearchDoor, upstream: Upstream, model: Model) -> flask.Flask:
    """Return the app in front of one OpenSearch."""
    app = flask.Flask("twinrank", static_folder=None)
    app.url_map.merge_slashes = False  # OpenSearch decides what an odd path means
    search = _search_view(door)
    for rule in ("/_search", "/<path:indices>/_search"):
        app.add_url_rule(rule, rule, search, methods=["GET", "POST"], provide_automatic_options=False)
    app.add_url_rule(f"{OWN_PREFIX}health", "health", _health_view(upstream, model))
    app.register_error_handler(UpstreamError, _upstream_error)
    app.register_error_handler(HTTPException, _http_error)
    return app


def response_of(answer: Answer) -> flask.Response:
    """Return an answer as Flask sends it."""
    response = flask.Response(answer.body, answer.status_line, direct_passthrough=True)
    response.headers.clear()
    response.headers.extend(answer.headers)
    return response


def error_response(status: int, type_name: str, reason: str) -> flask.Response:
    """Return an error in OpenSearch's shape."""
    return flask.Response(error_body(status, type_name, reason), status, content_type=JSON)


def _search_view(door: SearchDoor) -> Callable[..., flask.Response]:
    def search(indices: str = "") -> flask.Response:
        return response_of(door.answer(Request.from_environ(flask.request.environ)))

    return search


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


def _upstream_error(error: UpstreamError) -> flask.Response:
    _log.warning("%s", error)
    return error_response(error.status, error.type_name, str(error))


def _http_error(error: HTTPException) -> flask.Response:
    """An own endpoint that does not exist or is asked wrongly; or a fault of ours, which Flask logs."""
    status = error.code or 500
    return error_response(status, "rerank_request_exception", f"{flask.request.path}: {error.description}")

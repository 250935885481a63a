"""The WSGI application: OpenSearch's own API is answered here, our own endpoints by the Flask app.

A route through Flask costs a request about 0.45 ms, most of what passing it through costs in all, so what is
OpenSearch's own API never reaches it. Requests are told apart by their raw path.
"""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from opensearch.endpoints import Api, changes_indices, find_endpoint
from opensearch.search.unranked_apis import find_unranked_api
from plugin.admin.health import Readiness
from plugin.admin.responses import JSON
from plugin.apis.routes import API_PATHS
from plugin.apis.tokens import BearerTokens
from plugin.app import OWN_PREFIX, create_app
from plugin.encoding.model import Model
from plugin.errors import UpstreamError, error_body
from plugin.http.arrival import queued_s
from plugin.http.client_presence import ClientGoneError, absent, present
from plugin.http.content_coding import change_body
from plugin.http.headers import Environ
from plugin.http.messages import Request, Response
from plugin.passthrough.forward import MAX_REDACTED_BYTES, forward_request
from plugin.passthrough.hidden_fields import FieldLookup
from plugin.passthrough.nodes import NodesHandler
from plugin.passthrough.publish_address import AUTO, asks_for_addresses
from plugin.passthrough.reads import READS, ReadHandler, read_url_predicate
from plugin.search.handler import SearchDoor
from plugin.search.msearch import MULTI_SEARCHES, MultiSearchDoor
from plugin.search.page_agreement import PageAgreement
from plugin.search.page_table import PageTable
from plugin.search.planner import SearchPlanner
from plugin.search.template import TemplateDoor
from plugin.settings.cache import SettingsCache
from plugin.telemetry.metrics import Metrics
from plugin.telemetry.request_notes import noting
from plugin.telemetry.rerank_status import skipped
from plugin.telemetry.search_log import Sight
from plugin.telemetry.tracing import Tracing
from plugin.upstream.client import Upstream
from plugin.watching import watch
from plugin.writes.handler import ENRICH, WRITES, WriteHandler

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

CLIENT_CLOSED_REQUEST = 499
"""How a request is counted whose client has gone: nginx's number, since HTTP has none."""

_log = logging.getLogger("twinrank")


class Proxy:
    """The proxy in front of one OpenSearch."""

    def __init__(
        self,
        upstream: Upstream,
        model: Model,
        settings: SettingsCache | None = None,
        tokens: BearerTokens | None = None,
        readiness: Readiness | None = None,
        sight: Sight | None = None,
        tracing: Tracing | None = None,
        pages: PageTable | None = None,
        *,
        publish_address: str = AUTO,
    ) -> None:
        self._upstream, self._model = upstream, model
        self._settings = settings = settings or SettingsCache(upstream)
        planner, self._lookup = SearchPlanner(settings, model), FieldLookup(settings)
        agreement = PageAgreement(pages)
        self._searches = SearchDoor(upstream, planner, model, agreement)
        self._templates = TemplateDoor(upstream, self._searches)
        self._multi_searches = MultiSearchDoor(upstream, planner, self._lookup, model, agreement)
        self._reads = ReadHandler(upstream, self._lookup)
        self._nodes = NodesHandler(upstream, publish_address)
        self._writes = WriteHandler(upstream, model, settings)
        self._sight, self._tracing = sight or Sight(Metrics()), tracing or Tracing()
        metrics = self._sight.metrics
        watch(metrics, upstream, model, settings, planner.breaker)
        agreement.on_disagreement = metrics.admission.pages_disagree
        ready = readiness or Readiness(upstream)
        self._own = create_app(upstream, model, settings, tokens or BearerTokens(), metrics, ready)

    def __call__(self, environ: Environ, start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        with self._model.in_flight.one():
            return self._answered(environ, start_response)

    def _answered(self, environ: Environ, start_response: "StartResponse") -> Iterable[bytes]:
        waited_s = queued_s()
        self._model.admission.service.record_wait(waited_s)
        self._sight.metrics.admission.began(waited_s)
        request = Request.from_environ(environ)
        if _is_own(request):
            return self._own(environ, start_response)
        with noting() as notes, self._tracing.traced(request, notes) as traced:
            with present(environ.get("gunicorn.socket")):
                answer = self._answer_or_error(traced.request)
            self._tracing.answered(traced, answer)
            self._sight.answered(traced.request, answer, notes)
        return _sent(answer, start_response)

    def _answer_or_error(self, request: Request) -> Response:
        try:
            return self._answer(request)
        except UpstreamError as error:
            _log.warning("%s", error)
            return _error(error)
        except ClientGoneError as error:
            _log.info("%s", error)
            return _gone(error)

    def _answer(self, request: Request) -> Response:
        if request.method == "CONNECT":  # no tunnel leads from here, whatever stands behind us
            body = error_body(405, "method_not_allowed_exception", "expected no CONNECT: this is no tunnel")
            return Response(405, (("Content-Type", JSON),), body)
        if request.path == ENRICH:
            return self._writes.enrich(request)
        spoken = find_endpoint(request.method, request.path)
        if spoken is None:
            return self._rest(request)
        if spoken.api is Api.SEARCH:
            return self._searches.answer(request, spoken)
        if spoken.api is Api.SEARCH_TEMPLATE:
            return self._templates.answer(request, spoken)
        if spoken.api in MULTI_SEARCHES:
            return self._multi_searches.answer(request, spoken)
        if spoken.api in READS:
            return self._reads.answer(request, spoken)
        if spoken.api in WRITES:
            with absent():  # a write in several steps is brought to its end
                return self._shown(request, self._writes.answer(request, spoken))
        return forward_request(self._upstream, request)

    def _rest(self, request: Request) -> Response:
        """Pass through what is no API of documents or searches; see whether it changes indices."""
        if asks_for_addresses(request.method, request.target):
            return self._nodes.answer(request)
        answer = forward_request(self._upstream, request)
        if reason := find_unranked_api(request.method, request.path):
            return answer.with_headers(("Rerank-Status", skipped(reason)))
        if answer.status < 400 and changes_indices(request.method, request.path):
            self._settings.invalidate()
        return answer

    def _shown(self, request: Request, answer: Response) -> Response:
        """Return the answer to a write; the documents in it, which updates may ask for, lose our fields."""
        cut = self._lookup.build_redaction(request, read_url_predicate(request))
        shown = change_body(
            answer, lambda body: cut(body) if b'"_source"' in body else body, MAX_REDACTED_BYTES
        )
        return shown or answer


def _is_own(request: Request) -> bool:
    """Whether the Flask app answers: our own endpoints, and the APIs that others speak."""
    if request.method == "POST" and request.path in API_PATHS:
        return True
    return request.path.startswith(OWN_PREFIX) and (request.path, request.method) != (ENRICH, "POST")


def _sent(answer: Response, start_response: "StartResponse") -> Iterable[bytes]:
    if isinstance(answer.body, bytes):
        length = "Content-Length", str(len(answer.body))
        start_response(answer.status_line, [*answer.headers, length])
        return [answer.body]
    start_response(answer.status_line, list(answer.headers))
    return answer.body


def _gone(error: ClientGoneError) -> Response:
    """Return what nobody reads, unless the client still listens after it has said that it ends."""
    reason = error_body(CLIENT_CLOSED_REQUEST, "client_gone_exception", str(error))
    return Response(CLIENT_CLOSED_REQUEST, (("Content-Type", JSON),), reason, "Client Closed Request")


def _error(error: UpstreamError) -> Response:
    headers = (("Content-Type", JSON),)
    return Response(error.status, headers, error_body(error.status, error.type_name, str(error)))

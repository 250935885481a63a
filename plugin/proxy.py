"""The WSGI application: it answers OpenSearch's own API, and hands Twinrank's own endpoints to the Flask app.

A route through Flask costs a request about 0.45 ms, most of what passing it through costs in all. So requests
of OpenSearch's own API never reach it. The raw path decides.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
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
from plugin.http.content_coding import change_body
from plugin.http.headers import Environ
from plugin.http.messages import Request, Response
from plugin.http.request_context import ClientDisconnectedError
from plugin.http.request_queue import request_queue
from plugin.passthrough.forward import MAX_REDACTED_BYTES, forward_request
from plugin.passthrough.hidden_fields import FieldLookup
from plugin.passthrough.nodes import NodesHandler
from plugin.passthrough.publish_address import AUTO, asks_for_addresses
from plugin.passthrough.reads import READS, ReadHandler, read_url_predicate
from plugin.search.breaker import UpstreamBreaker
from plugin.search.handler import SearchHandler
from plugin.search.msearch import MULTI_SEARCHES, MultiSearchHandler
from plugin.search.page_agreement import PageAgreement
from plugin.search.page_table import PageTable
from plugin.search.planner import SearchPlanner
from plugin.search.shadow import ShadowWorker
from plugin.search.template import TemplateHandler
from plugin.settings.cache import SettingsCache
from plugin.telemetry.metrics import Metrics
from plugin.telemetry.outcome import SearchOutcome
from plugin.telemetry.search_log import SearchLog
from plugin.telemetry.tracing import Traced, Tracing
from plugin.ubi.recorder import UbiRecorder
from plugin.upstream.client import Upstream
from plugin.writes.handler import ENRICH, WRITES, WriteHandler

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

CLIENT_CLOSED_REQUEST = 499
"""How a request is counted whose client has disconnected: nginx's number, since HTTP has none."""

_CHANGED = frozenset({Api.SEARCH, Api.SEARCH_TEMPLATE, *MULTI_SEARCHES, *READS, *WRITES})
"""The APIs whose requests or responses may be changed."""

_log = logging.getLogger("twinrank")


@dataclass(frozen=True)
class Observed:
    """A request that is passed through, as it is sent on, and what records the response to it."""

    request: Request
    record: Callable[[Response], Response]


class Proxy:
    """The proxy in front of one OpenSearch."""

    def __init__(
        self,
        upstream: Upstream,
        model: Model,
        settings: SettingsCache | None = None,
        tokens: BearerTokens | None = None,
        readiness: Readiness | None = None,
        metrics: Metrics | None = None,
        search_log: SearchLog | None = None,
        tracing: Tracing | None = None,
        pages: PageTable | None = None,
        recorder: UbiRecorder | None = None,
        *,
        publish_address: str = AUTO,
    ) -> None:
        self.upstream, self._model = upstream, model
        self._settings = settings = settings or SettingsCache(upstream)
        agreement = PageAgreement(pages)
        planner, self._lookup = SearchPlanner(settings, model, agreement, recorder), FieldLookup(settings)
        shadows = ShadowWorker(lambda: request_queue.length > 0 or model.query_vectors.num_waiting > 0)
        self._searches = SearchHandler(upstream, planner, model, recorder, shadows)
        self._templates = TemplateHandler(upstream, self._searches)
        self._multi_searches = MultiSearchHandler(upstream, planner, self._lookup, model, recorder, shadows)
        self._reads = ReadHandler(upstream, self._lookup)
        self._nodes = NodesHandler(upstream, publish_address)
        self._writes = WriteHandler(upstream, model, settings)
        self._metrics = metrics = metrics or Metrics()
        self._search_log, self._tracing = search_log or SearchLog(), tracing or Tracing()
        connect_metrics(metrics, upstream, model, settings, planner.breaker)
        if recorder is not None:
            recorder.on_result = metrics.recording.record
            recorder.on_stop = shadows.stop
        shadows.on_result = metrics.experiments.record_comparison
        agreement.on_disagreement = metrics.admission.record_disagreement
        planner.on_experiment = metrics.experiments.record_search
        ready = readiness or Readiness(upstream)
        self._own = create_app(upstream, model, settings, tokens or BearerTokens(), metrics, ready)

    def __call__(self, environ: Environ, start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        with self._model.in_flight.one():
            request = Request.from_environ(environ)
            self._record_wait(request)
            if _is_own(request):
                return self._own(environ, start_response)
            return _send(self._answer(request), start_response)

    def answer(self, request: Request) -> Response:
        """Answer one request of OpenSearch's own API for another server than WSGI's."""
        with self._model.in_flight.one():
            self._record_wait(request)
            return self._answer(request)

    def is_search(self, request: Request) -> bool:
        """Whether a request is one search, which `answer` may answer on an event loop."""
        spoken = find_endpoint(request.method, request.path)
        return spoken is not None and spoken.api is Api.SEARCH

    def is_passed_through(self, request: Request) -> bool:
        """Whether a request of OpenSearch's own API is streamed both ways, and neither side is changed."""
        if request.method == "CONNECT" or request.path == ENRICH or _is_own(request):
            return False
        spoken = find_endpoint(request.method, request.path)
        if spoken is None:
            return not asks_for_addresses(request.method, request.target)
        return spoken.api not in _CHANGED

    @contextmanager
    def observe(self, request: Request) -> Iterator["Observed"]:
        """Count and trace a request that another server passes through; tell it the response."""
        with self._model.in_flight.one(), self._tracing.trace(request) as traced:
            self._record_wait(request)
            yield Observed(traced.request, partial(self._record, traced))

    def record_lag(self, lag_s: float) -> None:
        """Record how late an event loop ran what was due, in seconds."""
        self._metrics.admission.record_lag(lag_s)

    def _record_wait(self, request: Request) -> None:
        """Record how long a request has waited to be begun, for admission and for the counters."""
        waited_s = request.context.queued_s
        self._model.admission.service.record_wait(waited_s)
        self._metrics.admission.record_wait(waited_s)

    def _record(self, traced: Traced, response: Response) -> Response:
        """Record a response that was passed through, and return it with its outcome."""
        request = traced.request
        response = self._note_passed(request, response)
        self._tracing.record_response(traced, response)
        self._metrics.record_response(request, response)
        self._search_log.record_response(request, response)
        return response

    def _answer(self, request: Request) -> Response:
        """Answer one request of OpenSearch's own API, counted and traced."""
        with self._tracing.trace(request) as traced:
            response = self._respond(traced.request)
            self._tracing.record_response(traced, response)
            self._metrics.record_response(traced.request, response)
            self._search_log.record_response(traced.request, response)
        return response

    def _respond(self, request: Request) -> Response:
        """Answer one request of OpenSearch's own API, with an error if OpenSearch cannot be asked."""
        try:
            return self._route(request)
        except UpstreamError as error:
            _log.warning("%s", error)
            return _build_error(error)
        except ClientDisconnectedError as error:
            _log.info("%s", error)
            return _build_disconnected(error)

    def _route(self, request: Request) -> Response:
        """Hand a request to the handler of its API."""
        if request.method == "CONNECT":  # the proxy is no tunnel, whatever is behind it
            body = error_body(405, "method_not_allowed_exception", "expected no CONNECT: this is no tunnel")
            return Response(405, (("Content-Type", JSON),), body)
        if request.path == ENRICH:
            return self._writes.enrich(request)
        spoken = find_endpoint(request.method, request.path)
        if spoken is None:
            return self._forward(request)
        if spoken.api is Api.SEARCH:
            return self._searches.handle(request, spoken)
        if spoken.api is Api.SEARCH_TEMPLATE:
            return self._templates.handle(request, spoken)
        if spoken.api in MULTI_SEARCHES:
            return self._multi_searches.handle(request, spoken)
        if spoken.api in READS:
            return self._reads.answer(request, spoken)
        if spoken.api in WRITES:
            # a write in several steps is brought to its end
            return self._redact(request, self._writes.answer(request.without_client(), spoken))
        return forward_request(self.upstream, request)

    def _forward(self, request: Request) -> Response:
        """Pass through what is no API of documents or searches, and notice changes of indices."""
        if asks_for_addresses(request.method, request.target):
            return self._nodes.answer(request)
        return self._note_passed(request, forward_request(self.upstream, request))

    def _note_passed(self, request: Request, response: Response) -> Response:
        """Return a response that was passed through with its outcome, and notice changes of indices."""
        if reason := find_unranked_api(request.method, request.path):
            return replace(response, outcome=SearchOutcome.skipped(reason))
        if response.status < 400 and changes_indices(request.method, request.path):
            self._settings.invalidate()
        return response

    def _redact(self, request: Request, response: Response) -> Response:
        """Return the response to a write without our fields in its documents, which updates may ask for."""
        cut = self._lookup.build_redaction(request, read_url_predicate(request))
        redacted = change_body(
            response, lambda body: cut(body) if b'"_source"' in body else body, MAX_REDACTED_BYTES
        )
        return redacted or response


def connect_metrics(
    metrics: Metrics, upstream: Upstream, model: Model, settings: SettingsCache, breaker: UpstreamBreaker
) -> None:
    """Have a worker's parts report to its counters."""
    metrics.record_bundle(model.name, model.digest)
    model.query_vectors.watcher = metrics.encoding
    model.admission.on_refused = metrics.admission.record_refusal
    model.documents.on_encoded = metrics.writes.record_batch
    upstream.watch_hosts(metrics.breakers.record_hosts)
    breaker.on_change = lambda num_open, tripped: metrics.breakers.record_change(
        "upstream", num_open, tripped=tripped
    )
    if settings.poller is not None:
        settings.poller.on_poll = metrics.settings.record_poll


def _is_own(request: Request) -> bool:
    """Whether the Flask app answers: Twinrank's own endpoints, and the APIs of other products."""
    if request.method == "POST" and request.path in API_PATHS:
        return True
    return request.path.startswith(OWN_PREFIX) and (request.path, request.method) != (ENRICH, "POST")


def _send(response: Response, start_response: "StartResponse") -> Iterable[bytes]:
    """Hand a response to WSGI, with the headers of its outcome."""
    own = () if response.outcome is None else response.outcome.headers()
    if isinstance(response.body, bytes):
        length = "Content-Length", str(len(response.body))
        start_response(response.status_line, [*response.headers, *own, length])
        return [response.body]
    start_response(response.status_line, [*response.headers, *own])
    return response.body


def _build_disconnected(error: ClientDisconnectedError) -> Response:
    """Return what nobody reads, unless the client still listens after it has said that it ends."""
    reason = error_body(CLIENT_CLOSED_REQUEST, "client_gone_exception", str(error))
    return Response(CLIENT_CLOSED_REQUEST, (("Content-Type", JSON),), reason, "Client Closed Request")


def build_failure(error: BaseException) -> Response:
    """Return the response to a request that OpenSearch was not asked, or whose client has left."""
    if isinstance(error, UpstreamError):
        return _build_error(error)
    return _build_disconnected(ClientDisconnectedError("the client closed its connection"))


def _build_error(error: UpstreamError) -> Response:
    headers = (("Content-Type", JSON),)
    return Response(error.status, headers, error_body(error.status, error.type_name, str(error)))

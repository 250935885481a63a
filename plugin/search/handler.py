"""One `_search`: planned, executed, and passed through with the reason if it is not or cannot be reranked.

`handle` -> `search` -> `_plan` -> `_execute` -> `SidecarSearch.run` or `ClusterSearch.run`
"""

import logging
from dataclasses import replace

from opensearch.endpoints import Endpoint
from opensearch.search.decision import InvalidControls
from opensearch.search.plan import Plan
from opensearch.search.request import SearchRequest
from opensearch.search.response import UnusableResponseError
from opensearch.search.rules import NO_EFFECTS
from opensearch.settings.skip import Skip
from opensearch.settings.target import Target
from plugin.encoding.model import Model
from plugin.errors import RerankFailedError
from plugin.experiments.assignment import add_assignment
from plugin.http.messages import Request, Response
from plugin.http.request_context import ClientDisconnectedError
from plugin.passthrough.forward import build_redaction, forward_request
from plugin.search.breaker import find_kind
from plugin.search.cluster import ClusterSearch
from plugin.search.early_refusal import needs_no_plan
from plugin.search.failure import (
    add_warnings,
    build_failure,
    build_refusal,
    is_of_opensearch,
    log_failure,
)
from plugin.search.pins import PinPlanner, insert_pins
from plugin.search.planner import SearchPlanner
from plugin.search.request_body import parse_search, read_body
from plugin.search.rules import find_effects
from plugin.search.search import Search
from plugin.search.shadow import DeferredAttributes, ShadowWorker
from plugin.search.sidecar import SidecarSearch
from plugin.search.window_comparison import WindowComparer
from plugin.telemetry.outcome import SearchOutcome
from plugin.ubi.recorder import UbiRecorder
from plugin.upstream.access import DENIED, may_search
from plugin.upstream.client import Upstream
from plugin.upstream.streamed_response import StreamedResponse

_log = logging.getLogger("twinrank.search")

_UNSEEN = Skip("not_enabled")
"""The reason for a caller who may not see an index, whatever its settings are."""


class SearchHandler:
    """Answers searches in front of one OpenSearch with one model."""

    def __init__(
        self,
        upstream: Upstream,
        planner: SearchPlanner,
        model: Model,
        recorder: UbiRecorder | None = None,
        shadows: ShadowWorker | None = None,
    ) -> None:
        self._upstream = upstream
        self._planner = planner
        self._model = model
        self._pins = PinPlanner(upstream, planner)
        self._recorder = recorder
        self._shadows = shadows or ShadowWorker()
        self._comparer = WindowComparer(upstream, model)
        self._sidecar = SidecarSearch(upstream, model)
        self._cluster = ClusterSearch(upstream, model)

    def handle(self, request: Request, endpoint: Endpoint) -> Response:
        """Answer one search.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
            ClientDisconnectedError: nobody waits for the answer any more.
        """
        body = read_body(request)
        return self.search(request, endpoint.indices, body, parse_search(request, body))

    def search(self, request: Request, indices: str, body: bytes, asked: SearchRequest | Skip) -> Response:
        """Answer one search that was read; `body` is what the client sent, which may be a template of it.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
            ClientDisconnectedError: nobody waits for the answer any more.
        """
        search = self._plan(request, indices, asked)
        response = add_assignment(self._execute(search, body), search.assignment)
        search.page.record_response(response)
        return response

    def _plan(self, request: Request, indices: str, asked: SearchRequest | Skip) -> Search:
        """Plan a search; if rules pin documents, those that it finds are asked for here."""
        with request.context.stage("plan"):
            target = self._planner.find_target(request, indices, asked)
            rules = find_effects(asked, target)
            if needs_no_plan(asked, target, rules) and not self._model.admits():
                return self._planner.refuse(request, indices, asked, target)
            if isinstance(asked, Skip) or not rules.pins:
                return self._planner.plan(request, indices, asked, target=target, rules=rules)
        return self._pins.plan(request, indices, asked, target, rules)

    def _execute(self, search: Search, body: bytes) -> Response:
        """Rerank a search as it is planned; fall back to the client's own if that is its plan, or fails."""
        plan = search.plan
        if isinstance(plan, Skip):
            return self._fall_back(search, body, plan)
        if isinstance(plan, InvalidControls):
            return self._show_error(search, body, build_refusal(plan.detail))
        try:
            executor = self._cluster if plan.in_cluster else self._sidecar
            response = insert_pins(search, executor.run(search.request, plan))
        except ClientDisconnectedError:
            raise
        except Exception as error:  # noqa: BLE001  # the app's edge: a fault of the proxy must not fail a search
            return self._recover(search, plan, body, error)
        self._planner.breaker.record_success(find_kind(search.request, plan.request))
        if response.status in DENIED:
            return self._hide(search, body, response)
        return self._record(search, response)

    def _recover(self, search: Search, plan: Plan, body: bytes, error: Exception) -> Response:
        """Fall back after an error, or answer with it if the settings ask for that."""
        skip = log_failure(error)
        if isinstance(error, RerankFailedError) and plan.settings.on_failure == "error":
            return self._show_error(search, body, build_failure(error, search.request.context))
        response = self._fall_back(search, body, skip)
        if not is_of_opensearch(error):
            return response
        if response.status < 400:  # else it is the client's own request that OpenSearch refuses
            self._planner.breaker.record_failure(find_kind(search.request, plan.request))
        return add_warnings(response, error)

    def _fall_back(self, search: Search, body: bytes, skip: Skip) -> Response:
        """Send the client's own search, without `ext.rerank` if it has one, and cut our fields out."""
        context, search = search.request.context, search.skip(skip)
        with context.stage("opensearch"):
            response = self._forward(search, body)
            while response.status == 400 and (other := self._change_refused(search, response)):
                search, response = other, self._forward(other, body)
            try:
                response = insert_pins(search, response)
            except UnusableResponseError as error:
                _log.warning("pins cannot be put into an answer, so the client's own is sent: %s", error)
                search = search.drop_rules()
                response = self._forward(search, body)
        if response.status in DENIED:
            return self._hide(search, body, response)
        outcome = SearchOutcome.skipped(skip.reason, context.stages_ms(), rules=search.rules.describe())
        response = replace(response, outcome=self._comparer.attach(search, outcome))
        return self._record(search, response) if search.is_recorded_passed else response

    def _change_refused(self, search: Search, response: Response) -> Search | None:
        """Return a refused search without what rules or its record have changed; None: that is not why."""
        if search.is_ruled and isinstance(response.body, bytes):
            return search.drop_rules()
        if search.recorded is None or self._recorder is None or not isinstance(response.body, bytes):
            return None
        taken = self._recorder.take_back(search.recorded, response.body)
        return search.drop_ids() if taken is None else search.record(taken)

    def _forward(self, search: Search, body: bytes) -> Response:
        redact = build_redaction(search.target, search.asked)
        if redact is None and (search.recorded is not None or search.is_ruled):
            redact = _keep_whole
        return forward_request(
            self._upstream,
            search.request,
            redact,
            read=body,
            forward=search.forward,
            may_repeat=True,
        )

    def _record(self, search: Search, response: Response) -> Response:
        """Record a search that has `ext.ubi`, and return its answer with the `query_id`."""
        if self._recorder is None or search.recorded is None:
            return response
        tagged = add_assignment(response, search.assignment)
        return self._recorder.record_response(
            search.request,
            search.recorded,
            tagged,
            defer=lambda compute, deliver: self._shadows.defer([DeferredAttributes(compute, deliver)]),
        )

    def _show_error(self, search: Search, body: bytes, own: Response) -> Response:
        """Answer the proxy's own error to a caller who may search there, and OpenSearch's to others."""
        if may_search(self._upstream, search.request, search.indices):
            return own
        unseen = replace(search, target=Target(_UNSEEN), forward=None, rules=NO_EFFECTS, pinned=None)
        return self._fall_back(unseen, body, _UNSEEN)

    def _hide(self, search: Search, body: bytes, denied: Response) -> Response:
        """Return a refusal; to a caller who may not see the settings, the one for an index that has none."""
        forward = search.forward  # without `ext.rerank`, about which OpenSearch says something else
        if denied.status == 403 and forward is not None and not self._planner.shows(search.request, forward):
            _close(denied)
            own = search.recorded.sent if search.is_recorded_passed and search.recorded else None
            denied = forward_request(self._upstream, search.request, read=body, forward=own)
        stages_ms = search.request.context.stages_ms()
        return replace(denied, outcome=SearchOutcome.skipped(_UNSEEN.reason, stages_ms))


def _keep_whole(body: bytes) -> bytes:
    """Return a response as it is; it is read at once, so that it can be recorded, or asked for again."""
    return body


def _close(response: Response) -> None:
    if isinstance(response.body, StreamedResponse):
        response.body.close()

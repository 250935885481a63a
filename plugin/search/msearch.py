"""One `_msearch`: every item planned and answered by itself, or all of them passed through.

`handle` -> `_plan` -> `_execute` -> `MultiSearchReranker.run`, and `_recover` if that fails
"""

from collections.abc import Sequence
from dataclasses import replace

from opensearch.endpoints import Api, Endpoint
from opensearch.search.decision import InvalidControls
from opensearch.search.msearch import MultiSearchItem, read_items
from opensearch.search.plan import Plan
from opensearch.search.request import NotUnderstoodError, read_parameters
from opensearch.search.template import TEMPLATE_PARAMETERS
from opensearch.settings.skip import Skip
from plugin.encoding.model import Model
from plugin.http.messages import Request, Response
from plugin.http.request_context import ClientDisconnectedError
from plugin.passthrough.forward import forward_request
from plugin.passthrough.hidden_fields import FieldLookup
from plugin.search.failure import add_warnings, log_failure
from plugin.search.msearch_item import PlannedItem, build_items_cut
from plugin.search.msearch_rerank import ItemsRefusedError, MultiSearchReranker
from plugin.search.planner import SearchPlanner
from plugin.search.request_body import decode_json, read_body
from plugin.search.shadow import ShadowWorker
from plugin.search.template import TemplateRenderer
from plugin.search.upstream_exchange import build_response, is_final
from plugin.telemetry.outcome import MultiSearchOutcome, SearchOutcome
from plugin.ubi.recorder import UbiRecorder
from plugin.upstream.access import may_search
from plugin.upstream.client import Upstream

MULTI_SEARCHES = frozenset({Api.MULTI_SEARCH, Api.MULTI_SEARCH_TEMPLATE})
"""What this handler answers."""

MAX_HITS = 10_000
"""Hits that the items of one request may ask for in their widened form; those beyond are passed through."""


class MultiSearchHandler:
    """Answers several searches at once in front of one OpenSearch with one model."""

    def __init__(
        self,
        upstream: Upstream,
        planner: SearchPlanner,
        lookup: FieldLookup,
        model: Model,
        recorder: UbiRecorder | None = None,
        shadows: ShadowWorker | None = None,
    ) -> None:
        self._upstream = upstream
        self._planner = planner
        self._lookup = lookup
        self._recorder = recorder
        self._reranker = MultiSearchReranker(upstream, model, planner.breaker, recorder, shadows)

    def handle(self, request: Request, endpoint: Endpoint) -> Response:
        """Answer several searches.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
            ClientDisconnectedError: nobody waits for the answer any more.
        """
        body = read_body(request)
        try:
            with request.context.stage("plan"):
                planned = self._plan(request, self._read_items(request, endpoint, body))
        except NotUnderstoodError as error:
            return self._forward_unread(request, body, Skip(error.reason))
        try:
            return self._execute(request, body, planned)
        except ClientDisconnectedError:
            raise
        except Exception as error:  # noqa: BLE001  # the app's edge: a fault of the proxy must not fail a search
            return self._recover(request, body, planned, error)

    def _read_items(self, request: Request, endpoint: Endpoint, body: bytes) -> Sequence[MultiSearchItem]:
        """Return the items; those of templates with the searches that the templates make."""
        items = read_items(request.target, endpoint.indices, decode_json(request, body))
        if endpoint.api is not Api.MULTI_SEARCH_TEMPLATE:
            return items
        unknown = read_parameters(request.target).keys() - TEMPLATE_PARAMETERS
        if unknown:  # OpenSearch refuses it, and `_msearch`, which what is rendered goes to, may not
            raise NotUnderstoodError(min(unknown))
        renderer = TemplateRenderer(self._upstream, request)
        return [
            item
            if isinstance(item.search, Skip)
            else replace(item, search=renderer.render(item.search, item.search.path))
            for item in items
        ]

    def _plan(self, request: Request, items: Sequence[MultiSearchItem]) -> list[PlannedItem]:
        """Plan every item, as long as there are hits left to ask for."""
        is_filtered = "filter_path" in read_parameters(request.target)
        planned, num_hits = [], 0
        known: dict[str, bool] = {}
        for item in items:
            search = self._planner.plan(request, item.indices, item.search, fallback="multi_search")
            each = PlannedItem(item, search)
            if isinstance(search.plan, InvalidControls) and not self._may_search(
                search.indices, request, known
            ):
                each = each.send_as_it_came(Skip("not_enabled"))
            if is_filtered:  # positions would be lost, and with them whose `ext.rerank` it was
                each = each.send_filtered(Skip("filter_path"), is_template=_is_template(request))
            asked = each.plan.num_hits if isinstance(each.plan, Plan) else 0
            if num_hits + asked > MAX_HITS:
                each = each.fall_back(Skip("msearch_hits"))
            else:
                num_hits += asked
            planned.append(each)
        return planned

    def _may_search(self, indices: str, request: Request, known: dict[str, bool]) -> bool:
        """Whether the caller may search there; only then the response says that `ext.rerank` is wrong."""
        if indices not in known:
            known[indices] = may_search(self._upstream, request, indices)
        return known[indices]

    def _execute(self, request: Request, body: bytes, planned: Sequence[PlannedItem]) -> Response:
        """Rerank the items, or send all of them as they came if none is to be reranked or changed."""
        if not all(each.is_own for each in planned):
            if "filter_path" not in read_parameters(request.target):
                return self._reranker.run(request, planned)
            request, body = self._leave_out_ubi(request, planned)
        with request.context.stage("opensearch"):
            response = forward_request(
                self._upstream, request, build_items_cut(planned), read=body, may_repeat=True
            )
        outcome = _outcome(request, planned)
        if response.status == 200:
            for each, own in zip(planned, outcome.items, strict=True):
                each.record_outcome(own)
        return replace(response, outcome=outcome)

    def _leave_out_ubi(self, request: Request, planned: Sequence[PlannedItem]) -> tuple[Request, bytes]:
        """Return a request with `filter_path` without its `ext.ubi`: which items it shows is unknown."""
        if self._recorder is not None:
            self._recorder.record_unread(sum(not each.is_own for each in planned))
        body = b"".join(each.lines() for each in planned)
        headers = request.headers_without("content-encoding")
        return replace(request, headers=headers, content_length=len(body)), body

    def _recover(
        self, request: Request, body: bytes, planned: Sequence[PlannedItem], error: Exception
    ) -> Response:
        """Fall back to the client's own items, with the warnings of what failed."""
        if isinstance(error, ItemsRefusedError) and is_final(error.exchange.status, error.exchange.body):
            return _refused_response(request, error, [each.fall_back(Skip("upstream")) for each in planned])
        skip = log_failure(error)
        own = [each.fall_back(skip) for each in planned]
        try:
            response = self._execute(request, body, own)
        except ItemsRefusedError as refused:
            response = _refused_response(request, refused, own)
        return add_warnings(response, error)

    def _forward_unread(self, request: Request, body: bytes, skip: Skip) -> Response:
        """Pass on what was not understood: its answer shows which indices it speaks of."""
        context, cut = request.context, self._lookup.build_redaction(request, lambda field: False)
        with context.stage("opensearch"):
            response = forward_request(
                self._upstream, request, cut, read=body, may_repeat=True, keeps_coding=True
            )
        return replace(response, outcome=SearchOutcome.skipped(skip.reason, context.stages_ms()))


def _is_template(request: Request) -> bool:
    return request.path.rstrip("/").endswith("/template")


def _refused_response(request: Request, error: ItemsRefusedError, planned: Sequence[PlannedItem]) -> Response:
    return build_response(error.exchange, error.exchange.body, _outcome(request, planned))


def _outcome(request: Request, planned: Sequence[PlannedItem]) -> MultiSearchOutcome:
    """Return the outcome of items of which none is reranked."""
    return MultiSearchOutcome(
        tuple(each.tag(each.outcome) for each in planned),
        tuple(each.item.indices for each in planned),
        request.context.stages_ms(),
    )

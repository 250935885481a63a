"""One `_msearch`: every item planned and answered by itself, or all of them passed through."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from opensearch.endpoints import Api, Endpoint
from opensearch.rawjson.validation import InvalidError
from opensearch.search.msearch import MultiSearchItem, read_items
from opensearch.search.plan import Plan
from opensearch.search.request import NotUnderstoodError, read_parameters
from opensearch.search.response import UnusableResponseError
from opensearch.search.template import TEMPLATE_PARAMETERS
from opensearch.settings.target import Skip
from plugin.encoding.model import Model
from plugin.errors import UpstreamError
from plugin.http.client_presence import ClientGoneError
from plugin.http.messages import Request, Response
from plugin.passthrough.forward import forward_request
from plugin.passthrough.hidden_fields import FieldLookup
from plugin.search.handler import MAX_BODY_BYTES, plain_json, with_warnings
from plugin.search.msearch_item import PlannedItem, cut_of_items
from plugin.search.msearch_rerank import RefusedError, RerankedItems
from plugin.search.page_agreement import PageAgreement
from plugin.search.planner import SearchPlanner
from plugin.search.sidecar import answered, holds_for_the_clients_own
from plugin.search.template_renderer import TemplateRenderer
from plugin.telemetry.rerank_status import of_items, skipped
from plugin.telemetry.stage_clock import StageClock
from plugin.upstream.access import may_search
from plugin.upstream.client import Upstream

MULTI_SEARCHES = frozenset({Api.MULTI_SEARCH, Api.MULTI_SEARCH_TEMPLATE})
"""What this door answers."""

MAX_HITS = 10_000
"""Hits that the items of one request may ask for in their widened form; those beyond are passed through."""

_log = logging.getLogger("twinrank.search")


class MultiSearchDoor:
    """Answers several searches at once in front of one OpenSearch with one model."""

    def __init__(
        self, upstream: Upstream, planner: SearchPlanner, lookup: FieldLookup, model: Model,
        pages: PageAgreement | None = None,
    ) -> None:  # fmt: skip
        self._upstream = upstream
        self._planner = planner
        self._lookup = lookup
        self._pages = pages or PageAgreement()
        self._items = RerankedItems(upstream, model, planner.breaker)

    def answer(self, request: Request, endpoint: Endpoint) -> Response:
        """Answer several searches.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        clock = StageClock()
        body = request.stream.read(MAX_BODY_BYTES + 1)
        try:
            with clock.stage("plan"):
                items = read_items(request.target, endpoint.indices, plain_json(request, body))
                if endpoint.api is Api.MULTI_SEARCH_TEMPLATE:
                    items = self._rendered(request, items)
                planned = self._planned(request, items)
        except NotUnderstoodError as error:
            return self._unread(request, body, error.reason, clock)
        try:
            return self._answered(request, body, planned, clock)
        except RefusedError as error:
            if holds_for_the_clients_own(error.exchange.status, error.exchange.body):
                status = of_items([each.given_up("upstream").word for each in planned])
                return answered(error.exchange, error.exchange.body, status, clock)
            return self._given_up(request, body, planned, _failed("upstream", error), clock, error)
        except (UnusableResponseError, UpstreamError) as error:
            return self._given_up(request, body, planned, _failed("upstream", error), clock, error)
        except ClientGoneError:
            raise
        except Exception as error:  # noqa: BLE001  # the app's edge: a fault of ours must not fail a search
            _log.exception("reranking failed in a way that nobody foresaw; the client's own items are sent")
            return self._given_up(request, body, planned, "internal", clock, error)

    def _given_up(
        self, request: Request, body: bytes, planned: Sequence[PlannedItem], reason: str, clock: StageClock,
        failure: Exception,
    ) -> Response:  # fmt: skip
        """Answer the client's own items, with the warnings of what failed."""
        given_up = [each.given_up(reason) for each in planned]
        try:
            return with_warnings(self._answered(request, body, given_up, clock), failure)
        except RefusedError as error:
            status = of_items([each.word for each in given_up])
            own = answered(error.exchange, error.exchange.body, status, clock)
            return with_warnings(own, failure)

    def _rendered(self, request: Request, items: Sequence[MultiSearchItem]) -> list[MultiSearchItem]:
        """Return items whose searches are what their templates stand for."""
        unknown = read_parameters(request.target).keys() - TEMPLATE_PARAMETERS
        if unknown:  # OpenSearch refuses it, and `_msearch`, which what is rendered goes to, may not
            raise NotUnderstoodError(min(unknown))
        renderer = TemplateRenderer(self._upstream, request)
        return [
            item if isinstance(item.search, Skip)
            else replace(item, search=renderer.search(item.search, item.search.path))
            for item in items
        ]  # fmt: skip

    def _planned(self, request: Request, items: Sequence[MultiSearchItem]) -> list[PlannedItem]:
        """Plan every item, as long as there are hits left to ask for."""
        is_filtered = "filter_path" in read_parameters(request.target)
        planned, num_hits = [], 0
        may_search: dict[str, bool] = {}
        for item in items:
            each = self._planned_item(request, item)
            if isinstance(each.plan, InvalidError) and not self._may_search(
                request, item.indices, may_search
            ):
                each = replace(each, plan=Skip("not_enabled"))
            if is_filtered:  # positions would be lost, and with them whose `ext.rerank` it was
                each = replace(each, plan=Skip("filter_path"))
            asked = each.plan.num_hits if isinstance(each.plan, Plan) else 0
            if num_hits + asked > MAX_HITS:
                each = each.given_up("msearch_hits")
            else:
                num_hits += asked
            planned.append(each)
        return planned

    def _planned_item(self, request: Request, item: MultiSearchItem) -> PlannedItem:
        target = self._planner.target(request, item.indices, item.search)
        try:
            plan = self._planner.plan(request, item.search, target, fallback="multi_search")
        except InvalidError as error:
            return PlannedItem(item, target, error)
        page = self._pages.page(request, item.search, target, plan)
        return PlannedItem(item, target, page.followed(plan), page)

    def _may_search(self, request: Request, indices: str, known: dict[str, bool]) -> bool:
        """Whether OpenSearch lets the caller search there; only then a wrong `ext.rerank` is told."""
        if indices not in known:
            known[indices] = may_search(self._upstream, request, indices)
        return known[indices]

    def _answered(
        self, request: Request, body: bytes, planned: Sequence[PlannedItem], clock: StageClock
    ) -> Response:
        if not all(each.is_own for each in planned):
            return self._items.run(request, planned, clock)
        with clock.stage("opensearch"):
            answer = forward_request(
                self._upstream, request, cut_of_items(planned), read=body, may_repeat=True
            )
        words = [each.word for each in planned]
        for each in planned if answer.status == 200 else ():
            each.noted(each.word)
        return answer.with_headers(("Rerank-Status", of_items(words)), clock.header())

    def _unread(self, request: Request, body: bytes, reason: str, clock: StageClock) -> Response:
        """Pass on what was not understood: which indices it speaks of, its answer tells."""
        cut = self._lookup.build_redaction(request, lambda field: False)
        with clock.stage("opensearch"):
            answer = forward_request(
                self._upstream, request, cut, read=body, may_repeat=True, keeps_coding=True
            )
        return answer.with_headers(("Rerank-Status", skipped(reason)), clock.header())


def _failed(reason: str, error: Exception) -> str:
    _log.warning("the widened searches failed, so the client's own items are sent: %s", error)
    return reason

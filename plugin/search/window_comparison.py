"""Compare orders of a search that showed OpenSearch's own order: its window is asked for afterwards."""

import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from io import BytesIO

from opensearch.search.plan import Plan
from opensearch.search.response import UnusableResponseError
from opensearch.search.window_request import can_split, request_window, request_window_vectors
from plugin.encoding.model import Model
from plugin.errors import RerankFailedError, UpstreamError
from plugin.http.messages import Request
from plugin.http.request_context import RequestContext
from plugin.search.scoring import encode_late, read_ordering, wait_longer
from plugin.search.search import Search
from plugin.search.upstream_exchange import ask, read_response
from plugin.search.verification import WindowTexts, carries_sources
from plugin.telemetry.outcome import SearchOutcome
from plugin.upstream.client import Upstream

_log = logging.getLogger("twinrank.search")


class WindowComparer:
    """Compares the orders of searches on one OpenSearch with one model, for a share of them."""

    def __init__(
        self,
        upstream: Upstream,
        model: Model,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._upstream, self._model = upstream, model
        self._draw = draw

    def attach(self, search: Search, outcome: SearchOutcome) -> SearchOutcome:
        """Return the outcome of a search with what compares its orders later, if it is to be compared."""
        plan, assignment = search.compared, search.assignment
        if plan is None or assignment is None or not search.is_recorded_passed or plan.page_start > 0:
            return outcome
        if self._draw() >= assignment.experiment.share_of_searches:
            return outcome
        # neither the client's connection nor its body, which are not there any more then
        request = replace(search.request, stream=BytesIO(), content_length=0, context=RequestContext())
        return replace(outcome, deferred=partial(self._compare, request, plan))

    def _compare(self, request: Request, plan: Plan) -> Mapping[str, str]:
        """Return the comparisons; none if the window cannot be had."""
        try:
            return self._compare_window(request, plan)
        except (RerankFailedError, UnusableResponseError, UpstreamError) as error:
            _log.info("the orders of a search cannot be compared: %s", error)
            return {}

    def _compare_window(self, request: Request, plan: Plan) -> Mapping[str, str]:
        """Ask for the window, or for its vectors alone if that can be done, and compare its orders.

        Raises:
            RerankFailedError, UnusableResponseError, UpstreamError: there is no such window.
        """
        plan, is_split = wait_longer(plan), can_split(plan)
        query = self._model.submit_queries(plan)
        window = request_window_vectors(plan) if is_split else request_window(plan)
        exchange = ask(self._upstream, request, window)
        response = read_response(exchange, is_filtered=plan.filter_path is not None)
        has_sources = is_split or carries_sources(plan)
        texts = WindowTexts(self._upstream, request)
        ordering, _ = read_ordering(response, plan, self._model, query, texts, has_sources=has_sources)
        return ordering.compare_with(ordering.own_order(), encode_late(plan, self._model))()

"""One item of an `_msearch` with its plan."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from msgspec import Raw

from opensearch.fields.redaction import redact_part, redact_response
from opensearch.rawjson.style import Style
from opensearch.search.decision import InvalidControls
from opensearch.search.msearch import DEPTH_OF_AN_ITEM, MultiSearchItem, MultiSearchResponse, msearch_path
from opensearch.search.plan import Plan
from opensearch.search.request import SearchRequest
from opensearch.search.requested_fields import asks_for
from opensearch.search.response import UnusableResponseError
from opensearch.search.window_request import request_window
from opensearch.settings.skip import Skip
from plugin.passthrough.forward import Redaction, find_hidden_fields
from plugin.search.search import Search
from plugin.telemetry.outcome import APPLIED, SearchOutcome


@dataclass(frozen=True)
class PlannedItem:
    """An item's lines and its search: to be reranked, passed through, or refused for its `ext.rerank`."""

    item: MultiSearchItem
    search: Search

    @property
    def plan(self) -> Plan | Skip | InvalidControls:
        """What is decided about the search."""
        return self.search.plan

    @property
    def is_own(self) -> bool:
        """Whether the client's own lines are sent."""
        return isinstance(self.plan, Skip) and self.search.forward is None

    @property
    def outcome(self) -> SearchOutcome:
        """The outcome of an item that is not reranked."""
        return (
            SearchOutcome.skipped(self.plan.reason)
            if isinstance(self.plan, Skip)
            else SearchOutcome.refused()
        )

    def tag(self, outcome: SearchOutcome) -> SearchOutcome:
        """Return its outcome with its part in an experiment."""
        assignment = self.search.assignment
        return outcome if assignment is None else assignment.tag(outcome)

    def place(self, target: str) -> str:
        """Return the raw target that its lines go to, `target` being the client's."""
        path, mark, query = target.partition("?")
        return target if self.is_own else f"{msearch_path(path)}{mark}{query}"

    def fall_back(self, skip: Skip) -> "PlannedItem":
        """Return the item passed through, if it was to be reranked."""
        return replace(self, search=self.search.skip(skip)) if isinstance(self.plan, Plan) else self

    def send_as_it_came(self, skip: Skip) -> "PlannedItem":
        """Return the item passed through as the client sent it."""
        return replace(self, search=self.search.send_as_it_came(skip))

    def send_filtered(self, skip: Skip, *, is_template: bool) -> "PlannedItem":
        """Return the item passed through as the client sent it, without an `ext.ubi` that nobody reads.

        A template is sent as it came, since what it makes would go to another path.
        """
        search, recorded = self.search.send_as_it_came(skip), self.search.recorded
        if recorded is not None and not recorded.is_left_to_plugin and not is_template:
            search = replace(search, forward=recorded.plain)
        return replace(self, search=search)

    def record_outcome(self, outcome: SearchOutcome) -> None:
        """Record its outcome for the other pages of its search; an error is no page."""
        is_error = isinstance(self.plan, Plan) and self.plan.settings.on_failure == "error"
        if outcome.result == APPLIED or not is_error:
            self.search.page.record_outcome(outcome)

    def lines(self) -> bytes:
        """Return what is sent: the client's own lines, or its header with another body."""
        if isinstance(self.plan, Plan):
            return self.item.lines(request_window(self.plan).body)
        forward = self.search.forward
        return self.item.lines(None if forward is None else forward.encode_body() or b"{}")

    def asks_for(self, field: str) -> bool:
        """Whether it names the field."""
        return isinstance(self.search.asked, SearchRequest) and asks_for(self.search.asked, field)

    def cut(self, raw: Raw, style: Style) -> Raw:
        """Return its part of an answer without our fields."""
        fields_of = find_hidden_fields(self.search.target, self.search.asked)
        return raw if fields_of is None else redact_part(raw, fields_of, style, DEPTH_OF_AN_ITEM)


def build_items_cut(planned: Sequence[PlannedItem]) -> Redaction | None:
    """Return what cuts our fields out of the answer to all items as they came; None: they have none.

    The answer may not hold one part for each item, because `filter_path` leaves empty ones out. Then a field
    is cut if any item hides it and none asks for it.
    """
    hidden = [find_hidden_fields(each.search.target, each.search.asked) for each in planned]
    if not any(hidden):
        return None

    def fields_of(index: str | None) -> tuple[str, ...]:
        found = {name for each in hidden if each is not None for name in each(index)}
        return tuple(name for name in found if not any(each.asks_for(name) for each in planned))

    def cut(body: bytes) -> bytes:
        try:
            answer = MultiSearchResponse.parse(body, len(planned))
        except UnusableResponseError:
            return redact_response(body, fields_of)
        items = zip(planned, answer.items, strict=True)
        return answer.with_items([each.cut(raw, answer.style) for each, raw in items])

    return cut

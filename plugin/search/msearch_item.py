"""One item of an `_msearch` with what becomes of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from msgspec import Raw

from opensearch.fields.redaction import redact_part, redact_response
from opensearch.rawjson.style import Style
from opensearch.rawjson.validation import InvalidError
from opensearch.search.msearch import DEPTH_OF_AN_ITEM, MultiSearchItem, MultiSearchResponse, msearch_path
from opensearch.search.plan import Plan
from opensearch.search.request import SearchRequest
from opensearch.search.requested_fields import asks_for
from opensearch.search.response import UnusableResponseError
from opensearch.search.window_request import request_window
from opensearch.settings.target import Skip, Target
from plugin.passthrough.forward import Redaction, find_hidden_fields
from plugin.search.page_agreement import Page
from plugin.telemetry.rerank_status import APPLIED, REFUSED


@dataclass(frozen=True)
class PlannedItem:
    """An item, its indices, and its plan: rerank, pass through, or refuse for its `ext.rerank`."""

    item: MultiSearchItem
    target: Target
    plan: Plan | Skip | InvalidError
    page: Page | None = None

    @property
    def is_own(self) -> bool:
        """Whether the client's own lines are sent."""
        return isinstance(self.plan, Skip) and self.plan.forward is None

    @property
    def word(self) -> str:
        """Why it is not reranked, in a word."""
        return self.plan.reason if isinstance(self.plan, Skip) else REFUSED

    @property
    def forward(self) -> SearchRequest | None:
        """The client's search without `ext.rerank`, None where it has none."""
        if isinstance(self.plan, Plan):
            return self.plan.request if self.plan.request != self.item.search else None
        return self.plan.forward if isinstance(self.plan, Skip) else None

    def place(self, target: str) -> str:
        """Return the raw target that its lines go to, `target` being the client's."""
        path, mark, query = target.partition("?")
        return target if self.is_own else f"{msearch_path(path)}{mark}{query}"

    def given_up(self, reason: str) -> "PlannedItem":
        """Return the item passed through, if it was to be reranked."""
        return replace(self, plan=Skip(reason, self.forward)) if isinstance(self.plan, Plan) else self

    def noted(self, word: str) -> None:
        """Note what the client is told of it, for the other pages of its search."""
        is_error = isinstance(self.plan, Plan) and self.plan.settings.on_failure == "error"
        if self.page is not None and not (is_error and word != APPLIED):
            self.page.noted(word)

    def lines(self) -> bytes:
        """Return what is sent: the client's own lines, or its header with another body."""
        if isinstance(self.plan, Plan):
            return self.item.lines(request_window(self.plan).body)
        return self.item.lines(None if self.forward is None else self.forward.encode_body() or b"{}")

    def asks_for(self, field: str) -> bool:
        """Whether it names the field."""
        return isinstance(self.item.search, SearchRequest) and asks_for(self.item.search, field)

    def cut(self, raw: Raw, style: Style) -> Raw:
        """Return its part of an answer without our fields."""
        fields_of = find_hidden_fields(self.target, self.item.search)
        return raw if fields_of is None else redact_part(raw, fields_of, style, DEPTH_OF_AN_ITEM)


def cut_of_items(planned: Sequence[PlannedItem]) -> Redaction | None:
    """Return what cuts our fields out of the answer to all items as they came; None: they have none.

    Where the answer does not hold one part an item (`filter_path` leaves empty ones out), a field is cut
    that any item hides and none asks for.
    """
    hidden = [find_hidden_fields(each.target, each.item.search) for each in planned]
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

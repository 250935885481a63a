"""One search on its way through the proxy: what was asked, what its indices say, and what is decided."""

from dataclasses import dataclass, replace

from opensearch.search.decision import InvalidControls
from opensearch.search.ext import take_controls
from opensearch.search.pins import PinnedPage
from opensearch.search.plan import Plan
from opensearch.search.request import SearchRequest
from opensearch.search.rules import NO_EFFECTS, RuleEffects
from opensearch.settings.skip import Skip
from opensearch.settings.target import Target
from plugin.experiments.assignment import Assignment
from plugin.http.messages import Request
from plugin.search.page_agreement import Page
from plugin.ubi.recorder import RecordedSearch


@dataclass(frozen=True)
class Search:
    """A planned search, alone or an item of several.

    Attributes:
        request: the client's request, which may hold other searches too.
        indices: the indices part of the search's path.
        asked: the search as OpenSearch will read it, or why this version cannot read it.
        target: what the indices say.
        plan: how it is reranked, why it is not, or what is wrong with its `ext.rerank`.
        forward: what is sent if it is not reranked; None: the client's own bytes, which hold no `ext.rerank`.
        plain: the same without regard to rules.
        page: which page of its search it is.
        recorded: what is recorded of it, None if it has no `ext.ubi`; `asked` is then without that key.
        assignment: its part in the experiment of its index; None if there is none, or if it is not reranked
            for a reason that no arm changes.
        compared: the plan of the window whose orders are compared after the answer; None if there is none.
        rules: what the rules that apply to it do.
        pinned: the pins that are put into its page; `asked` is then the search for the other hits.
    """

    request: Request
    indices: str
    asked: SearchRequest | Skip
    target: Target
    plan: Plan | Skip | InvalidControls
    forward: SearchRequest | None
    page: Page
    recorded: RecordedSearch | None = None
    assignment: Assignment | None = None
    compared: Plan | None = None
    plain: SearchRequest | None = None
    rules: RuleEffects = NO_EFFECTS
    pinned: PinnedPage | None = None

    @property
    def is_ruled(self) -> bool:
        """Whether rules change what is asked for or what is shown."""
        return bool(self.rules.hidden) or self.pinned is not None

    @property
    def is_recorded_passed(self) -> bool:
        """Whether the proxy records the search even if it is not reranked."""
        return self.recorded is not None and not self.recorded.is_left_to_plugin

    def record(self, recorded: RecordedSearch) -> "Search":
        """Return the search sent on without its `ext.ubi`, to be recorded by the proxy."""
        sent = recorded.sent
        bare = None if self.forward is None else sent.with_body(take_controls(dict(sent.body))[1])
        return replace(self, recorded=recorded, forward=recorded.choose_forward(bare))

    def drop_ids(self) -> "Search | None":
        """Return the search without what its record asks for beside the client's wishes; None: nothing."""
        if self.recorded is None or self.forward is None or not self.recorded.asks_for_ids:
            return None
        recorded, forward = self.recorded.drop_ids(self.forward)
        return replace(self, recorded=recorded, forward=forward)

    def skip(self, skip: Skip) -> "Search":
        """Return the search passed through, without its `ext.rerank`.

        If OpenSearch has refused what the proxy made of it, rules do not change it either.
        """
        search = self.drop_rules() if skip.reason == "upstream" else self
        return replace(search, plan=skip)

    def drop_rules(self) -> "Search":
        """Return the search as the client sent it, with everything that rules would hide."""
        is_barred = self.rules != NO_EFFECTS
        rules = RuleEffects(is_barred=is_barred)
        return replace(self, forward=self.plain, rules=rules, pinned=None)

    def send_as_it_came(self, skip: Skip) -> "Search":
        """Return the search passed through as the client sent it, `ext.rerank` too."""
        return replace(self.drop_rules(), plan=skip, forward=None)

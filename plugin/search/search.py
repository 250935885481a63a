"""One search on its way through the proxy: what was asked, what its indices say, and what is decided."""

from dataclasses import dataclass, replace

from opensearch.search.plan import InvalidControls, Plan
from opensearch.search.request import SearchRequest
from opensearch.settings.skip import Skip
from opensearch.settings.target import Target
from plugin.http.messages import Request
from plugin.search.page_agreement import Page


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
        page: which page of its search it is.
    """

    request: Request
    indices: str
    asked: SearchRequest | Skip
    target: Target
    plan: Plan | Skip | InvalidControls
    forward: SearchRequest | None
    page: Page

    def skip(self, skip: Skip) -> "Search":
        """Return the search passed through, without its `ext.rerank`."""
        return replace(self, plan=skip)

    def send_as_it_came(self, skip: Skip) -> "Search":
        """Return the search passed through as the client sent it, `ext.rerank` too."""
        return replace(self, plan=skip, forward=None)

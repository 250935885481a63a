"""One search sent twice, straight to OpenSearch and through the proxy, and what moved in between."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from plugin.search_client import Answer, SearchClient


@dataclass(frozen=True)
class BothOrders:
    """The same search as OpenSearch orders it, and as the proxy does."""

    query: str
    straight: Answer
    reranked: Answer

    @property
    def moves(self) -> list[str]:
        """What happened to each reranked hit: `↑3`, `↓2`, `=`, or `new` where it was not on the page."""
        return moves(self.straight.ids, self.reranked.ids)


def search_both(
    straight: SearchClient, proxied: SearchClient, index: str, query: str, body: dict[str, Any]
) -> BothOrders:
    """Send one search to both.

    Raises:
        SearchError: one of them does not answer, or not with 200.
    """
    return BothOrders(query, straight.search(index, body), proxied.search(index, body))


def moves(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """Say of each id in `after` where it stood in `before`."""
    places = {id_: place for place, id_ in enumerate(before)}
    return [_move(places.get(id_), place) for place, id_ in enumerate(after)]


def _move(before: int | None, after: int) -> str:
    if before is None:
        return "new"
    if before == after:
        return "="
    return f"↑{before - after}" if before > after else f"↓{after - before}"

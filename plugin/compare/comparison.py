"""One search sent twice, straight to OpenSearch and through the proxy, and how its hits moved."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from plugin.compare.retry import TRIES, search_until_reranked
from plugin.upstream.search_client import Answer, SearchClient


@dataclass(frozen=True)
class BothOrders:
    """The same search as OpenSearch orders it, and as the proxy does.

    `repeats` is how often it was sent again through the proxy, because a busy machine left it unranked.
    """

    query: str
    straight: Answer
    reranked: Answer
    repeats: int = 0

    @property
    def is_reranked(self) -> bool:
        """Whether the proxy reordered the search."""
        return self.reranked.status.startswith("applied")

    @property
    def moves(self) -> list[str]:
        """What happened to each reranked hit: `↑3`, `↓2`, `=`, or `new` if it was not on the page."""
        return describe_moves(self.straight.ids, self.reranked.ids)


def search_both(
    straight: SearchClient,
    proxied: SearchClient,
    index: str,
    query: str,
    body: dict[str, Any],
    *,
    tries: int = TRIES,
) -> BothOrders:
    """Send one search to both; OpenSearch gets it without `ext.rerank`, which it does not know.

    A search that a busy machine leaves unranked is sent `tries` times at most.

    Raises:
        SearchError: one of them does not answer, or not with 200.
    """
    first = straight.search(index, remove_controls(body))
    reranked, repeats = search_until_reranked(proxied, index, body, tries=tries)
    return BothOrders(query, first, reranked, repeats)


def remove_controls(search: dict[str, Any]) -> dict[str, Any]:
    """Return a search body without `ext.rerank`."""
    ext = search.get("ext")
    if not isinstance(ext, dict) or "rerank" not in ext:
        return search
    others = {name: value for name, value in ext.items() if name != "rerank"}
    rest = {name: value for name, value in search.items() if name != "ext"}
    return {**rest, "ext": others} if others else rest


def disable_reranking(search: dict[str, Any]) -> dict[str, Any]:
    """Return a search body that asks for OpenSearch's own order, without reranking and without rules.

    A body whose `ext.rerank` is no object is returned as it is, for the proxy to refuse.
    """
    return _set_control(_set_control(search, "enabled", value=False), "rules", value=False)


def ask_for_details(search: dict[str, Any]) -> dict[str, Any]:
    """Return a search body that asks for the scores of each hit, with `ext.rerank.explain`.

    A body whose `ext.rerank` is no object is returned as it is, for the proxy to refuse.
    """
    return _set_control(search, "explain", value=True)


def _set_control(search: dict[str, Any], name: str, *, value: bool) -> dict[str, Any]:
    ext = search.get("ext", {})
    rerank = ext.get("rerank", {}) if isinstance(ext, dict) else None
    if not isinstance(rerank, dict):
        return search
    return search | {"ext": {**ext, "rerank": {**rerank, name: value}}}


def describe_moves(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """Return for each id in `after` how far it moved since `before`."""
    places = {id_: place for place, id_ in enumerate(before)}
    return [_move(places.get(id_), place) for place, id_ in enumerate(after)]


def _move(before: int | None, after: int) -> str:
    if before is None:
        return "new"
    if before == after:
        return "="
    return f"↑{before - after}" if before > after else f"↓{after - before}"

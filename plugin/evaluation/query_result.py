"""One judged query in both orders: its measure, and the two pages as people see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from plugin.compare.comparison import BothOrders
from plugin.compare.hit_text import hit_title
from plugin.upstream.search_client import Answer

NUM_SHOWN = 10
"""So many of the best and of the worst queries are shown."""

UNJUDGED = "·"

_Query = TypeVar("_Query", bound="PairedQuery")


@dataclass(frozen=True)
class PairedQuery:
    """One query's nDCG@10 in two orders, `before` and `after`."""

    id: str
    text: str
    before: float
    after: float

    @property
    def gain(self) -> float:
        """How much the query gained; negative if it lost."""
        return self.after - self.before

    def format(self) -> str:
        """Return both values, the id and the text in one line."""
        values = f"{self.before:.3f} → {self.after:.3f} ({self.gain:+.3f})"
        return f"{values}  {self.id}  “{' '.join(self.text.split())}”"


@dataclass(frozen=True)
class QueryResult(PairedQuery):
    """One query in OpenSearch's order and in the reranked one.

    The hits of `orders` have only `_index`, `_id` and `title`. `grades` is document id -> grade.
    """

    orders: BothOrders
    grades: Mapping[str, float]

    def describe_hit(self, hit: Mapping[str, Any]) -> str:
        """Return a hit's grade, UNJUDGED if it has none, and its title."""
        grade = self.grades.get(hit["_id"])
        return f"{UNJUDGED if grade is None else f'{grade:g}'}  {hit['title']}"


def keep_titles(orders: BothOrders, fields: Sequence[str], size: int) -> BothOrders:
    """Return both orders with the first `size` hits, of each hit only its name and title."""
    return replace(
        orders,
        straight=_keep_titles(orders.straight, fields, size),
        reranked=_keep_titles(orders.reranked, fields, size),
    )


def _keep_titles(answer: Answer, fields: Sequence[str], size: int) -> Answer:
    hits = [
        {"_index": hit["_index"], "_id": hit["_id"], "title": hit_title(hit, fields)}
        for hit in answer.hits[:size]
    ]
    return replace(answer, body={"hits": {"hits": hits}})


def select_best(results: Sequence[_Query], number: int = NUM_SHOWN) -> list[_Query]:
    """Return the queries that gained most, best first; none that did not gain."""
    gained = [result for result in results if result.gain > 0]
    return sorted(gained, key=lambda result: -result.gain)[:number]


def select_worst(results: Sequence[_Query], number: int = NUM_SHOWN) -> list[_Query]:
    """Return the queries that lost most, worst first; none that did not lose."""
    lost = [result for result in results if result.gain < 0]
    return sorted(lost, key=lambda result: result.gain)[:number]

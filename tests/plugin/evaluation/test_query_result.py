"""Which queries are shown, and what of them."""

from typing import Any

from plugin.compare.comparison import BothOrders
from plugin.evaluation.query_result import PairedQuery, QueryResult, keep_titles, select_best, select_worst
from plugin.upstream.search_client import Answer


def paired(**gains: float) -> list[PairedQuery]:
    return [PairedQuery(name, f"text of {name}", 0.5, 0.5 + gain) for name, gain in gains.items()]


def test_the_best_gained_and_the_worst_lost() -> None:
    queries = paired(a=0.1, b=-0.2, c=0, d=0.3, e=-0.1)
    assert [each.id for each in select_best(queries)] == ["d", "a"]
    assert [each.id for each in select_worst(queries)] == ["b", "e"]
    assert [each.id for each in select_worst(queries, 1)] == ["b"]
    assert select_worst(queries, 0) == []


def test_a_query_in_one_line() -> None:
    assert PairedQuery("q1", "a\n b", 0.25, 0.5).format() == "0.250 → 0.500 (+0.250)  q1  “a b”"


def page(*hits: dict[str, Any]) -> Answer:
    return Answer({"took": 1, "hits": {"hits": [{"_index": "i", **hit} for hit in hits]}}, {"x": "y"}, 1.0)


def test_only_names_and_titles_are_kept() -> None:
    first, second = {"_id": "1", "_source": {"title": "A"}}, {"_id": "2"}
    kept = keep_titles(BothOrders("q", page(first, second), page(second, first)), ("title",), 1)
    assert kept.straight.body == {"hits": {"hits": [{"_index": "i", "_id": "1", "title": "A"}]}}
    assert kept.reranked.hits == [{"_index": "i", "_id": "2", "title": "2"}]
    assert kept.reranked.headers == {"x": "y"}


def test_a_hit_is_shown_with_its_grade() -> None:
    result = QueryResult("q", "t", 0, 1, BothOrders("t", page(), page()), {"1": 2, "2": 0.5, "3": 0})
    shown = [result.describe_hit({"_id": id_, "title": "T"}) for id_ in "1234"]
    assert shown == ["2  T", "0.5  T", "0  T", "·  T"]

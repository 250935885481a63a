"""What moved between two orders, and how it is shown."""

from io import StringIO

from rich.console import Console

from plugin.compare.comparison import BothOrders, describe_moves
from plugin.harness.comparison_table import build_orders_table, format_timing
from plugin.upstream.search_client import Answer, read_server_timing


def _answer(ids: list[str], headers: dict[str, str] | None = None) -> Answer:
    hits = [{"_id": id_, "_source": {"text": f"text of {id_}"}} for id_ in ids]
    return Answer({"hits": {"hits": hits}}, headers or {}, 1.25)


def test_moves() -> None:
    assert describe_moves(["a", "b", "c"], ["c", "b", "x", "a"]) == ["↑2", "=", "new", "↓3"]
    assert describe_moves([], []) == []


def test_both_orders_stand_side_by_side() -> None:
    orders = BothOrders("a [query]", _answer(["a", "b"]), _answer(["b", "x"]))
    output = StringIO()
    Console(width=100, file=output).print(build_orders_table(orders))
    lines = output.getvalue().splitlines()
    assert "a [query]" in lines[0]
    assert [line.split() for line in lines[4:6]] == [
        ["1", "a", "text", "of", "a", "b", "text", "of", "b", "↑1"],
        ["2", "b", "text", "of", "b", "x", "text", "of", "x", "new"],
    ]


def test_scores_are_a_column_of_their_own() -> None:
    orders = BothOrders("q", _answer(["a", "b"]), _answer(["b", "a"]))
    output = StringIO()
    table = build_orders_table(orders, lambda hit: f"title of {hit['_id']}", {1: "11.1 = 0.9 + 10.2"})
    Console(width=100, file=output).print(table)
    lines = [line.split() for line in output.getvalue().splitlines()]
    assert lines[2][-2:] == ["moved", "score"]
    assert lines[4] == ["1", "title", "of", "a", "title", "of", "b", "↑1"]
    assert lines[5][-6:] == ["↓1", "11.1", "=", "0.9", "+", "10.2"]


def test_pages_of_different_length() -> None:
    orders = BothOrders("q", _answer(["a", "b"]), _answer([]))
    assert build_orders_table(orders).row_count == 2


def test_the_timing_line_says_what_each_stage_took() -> None:
    headers = {"server-timing": "encode;dur=2.50, opensearch;dur=3", "rerank-status": "applied; window=100"}
    orders = BothOrders("q", _answer(["a"]), _answer(["a"], headers))
    assert format_timing(orders) == (
        "1.2 ms OpenSearch alone, 1.2 ms through Twinrank (encode 2.5, opensearch 3.0) · applied; window=100"
    )


def test_server_timing() -> None:
    assert read_server_timing('a;dur=1.5, b;desc="x";dur=2, c') == {"a": 1.5, "b": 2.0}
    assert read_server_timing("") == {}

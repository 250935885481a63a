"""Two orders of one search side by side, for a terminal."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from plugin.compare.comparison import BothOrders
from plugin.compare.hit_text import hit_text
from plugin.compare.outcome_words import describe_status

Describe = Callable[[dict[str, Any]], str]
"""A hit to what is shown of it."""

_COLOURS = {"↑": "green", "↓": "red", "n": "green", "=": "dim"}


def describe_with_id(hit: dict[str, Any], fields: Sequence[str] = ()) -> str:
    """Return a hit's `_id` and its text, which is that of `fields` as in `hit_text`."""
    return f"{hit['_id']}  {hit_text(hit, fields)}"


def format_orders(
    orders: BothOrders, describe: Describe = describe_with_id, scores: Mapping[int, str] | None = None
) -> Iterator[Table | Text]:
    """Yield the table, or a sentence if there are no hits, then the times and what was not reranked."""
    if orders.straight.hits or orders.reranked.hits:
        yield build_orders_table(orders, describe, scores)
    else:
        yield Text(f"“{orders.query}”: no hits. OpenSearch finds nothing for this search.")
    yield Text(format_timing(orders), style="dim")
    words = describe_status(orders.reranked.status)
    if words:
        yield Text(words)
    if orders.repeats:
        yield Text(f"Sent {orders.repeats + 1} times, since the machine was busy.")


def build_orders_table(
    orders: BothOrders, describe: Describe = describe_with_id, scores: Mapping[int, str] | None = None
) -> Table:
    """Return a table: OpenSearch's order on the left, the reranked one and the moves on the right.

    A hit is what `describe` returns, cut to the terminal's width. `scores` maps places in the reranked order,
    counted from 0, to what the last column shows; without it there is no such column.
    """
    table = Table(
        box=SIMPLE_HEAD, pad_edge=False, expand=True, title=f"“{escape(orders.query)}”", title_justify="left"
    )
    table.add_column("", justify="right", style="dim", min_width=2)
    table.add_column("OpenSearch alone", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("through Twinrank", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("moved", justify="right", min_width=5)
    if scores is not None:
        table.add_column("score", no_wrap=True, style="dim")
    before, after = orders.straight.hits, orders.reranked.hits
    for place in range(max(len(before), len(after))):
        left, right = _format_hit(before, place, describe), _format_hit(after, place, describe)
        move = orders.moves[place] if place < len(after) else ""
        row = [str(place + 1), left, right, f"[{_COLOURS[move[0]]}]{move}[/]" if move else ""]
        table.add_row(*row, *(() if scores is None else (scores.get(place, ""),)))
    return table


def format_timing(orders: BothOrders) -> str:
    """Return one line: the time of each stage, and of both searches as the client saw them."""
    stages = ", ".join(f"{name} {ms:.1f}" for name, ms in orders.reranked.stages_ms.items())
    shown = f" ({stages})" if stages else ""
    status = orders.reranked.status or "no Rerank-Status: is this Twinrank?"
    return (
        f"{orders.straight.elapsed_ms:.1f} ms OpenSearch alone,"
        f" {orders.reranked.elapsed_ms:.1f} ms through Twinrank{shown} · {status}"
    )


def _format_hit(hits: list[dict[str, Any]], place: int, describe: Describe) -> str:
    return escape(describe(hits[place])) if place < len(hits) else ""

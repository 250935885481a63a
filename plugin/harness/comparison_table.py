"""Two orders of one search side by side, for a terminal."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from plugin.compare.comparison import BothOrders
from plugin.compare.hit_text import hit_text
from plugin.compare.outcome_words import describe_status

_COLOURS = {"↑": "green", "↓": "red", "n": "green", "=": "dim"}


def format_orders(orders: BothOrders, fields: Sequence[str] = ()) -> Iterator[Table | Text]:
    """Yield the table, or a sentence if there are no hits, then the times and what was not reranked."""
    if orders.straight.hits or orders.reranked.hits:
        yield build_orders_table(orders, fields)
    else:
        yield Text(f"“{orders.query}”: no hits. OpenSearch finds nothing for this search.")
    yield Text(format_timing(orders), style="dim")
    words = describe_status(orders.reranked.status)
    if words:
        yield Text(words)
    if orders.repeats:
        yield Text(f"Sent {orders.repeats + 1} times, since the machine was busy.")


def build_orders_table(orders: BothOrders, fields: Sequence[str] = ()) -> Table:
    """Return a table: OpenSearch's order on the left, the reranked one and the moves on the right.

    A hit is its `_id` and the text of `fields` (dotted paths into its source), cut to the terminal's width.
    Without fields, `hit_text` chooses the text.
    """
    table = Table(
        box=SIMPLE_HEAD, pad_edge=False, expand=True, title=f"“{escape(orders.query)}”", title_justify="left"
    )
    table.add_column("", justify="right", style="dim", min_width=2)
    table.add_column("OpenSearch alone", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("through Twinrank", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("moved", justify="right", min_width=5)
    before, after = orders.straight.hits, orders.reranked.hits
    for place in range(max(len(before), len(after))):
        left, right = _format_hit(before, place, fields), _format_hit(after, place, fields)
        move = orders.moves[place] if place < len(after) else ""
        table.add_row(str(place + 1), left, right, f"[{_COLOURS[move[0]]}]{move}[/]" if move else "")
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


def _format_hit(hits: list[dict[str, Any]], place: int, fields: Sequence[str]) -> str:
    return escape(f"{hits[place]['_id']}  {hit_text(hits[place], fields)}") if place < len(hits) else ""

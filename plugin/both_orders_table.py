"""Two orders of one search side by side, for a terminal."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from plugin.both_orders import BothOrders

_COLOURS = {"↑": "green", "↓": "red", "n": "green", "=": "dim"}


def orders_table(orders: BothOrders) -> Table:
    """Return a table: OpenSearch's order on the left, the reranked one on the right with what moved.

    A hit is shown by its `_id` and the beginning of its `text` or `title`, or else of its longest text.
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
        left, right = _label(before, place), _label(after, place)
        move = orders.moves[place] if place < len(after) else ""
        table.add_row(str(place + 1), left, right, f"[{_COLOURS[move[0]]}]{move}[/]" if move else "")
    return table


def timing_line(orders: BothOrders) -> str:
    """Return one line: what each stage took, and both searches as the client saw them."""
    stages = ", ".join(f"{name} {ms:.1f}" for name, ms in orders.reranked.stages_ms.items())
    shown = f" ({stages})" if stages else ""
    status = orders.reranked.status or "no Rerank-Status: is this Twinrank?"
    return (
        f"{orders.straight.elapsed_ms:.1f} ms straight, {orders.reranked.elapsed_ms:.1f} ms reranked{shown}"
        f" · {status}"
    )


def _label(hits: list[dict[str, Any]], place: int) -> str:
    if place >= len(hits):
        return ""
    texts = {name: text for name, text in hits[place].get("_source", {}).items() if isinstance(text, str)}
    shown = texts.get("text") or texts.get("title") or max(texts.values(), key=len, default="")
    return escape(f"{hits[place]['_id']}  {shown[:160]}")

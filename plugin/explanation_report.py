"""An explanation as lines and a table."""

import json
from collections.abc import Iterator
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table


def explanation_report(steps: dict[str, Any]) -> Iterator[str | Table]:
    """Yield the steps of `plugin.explanation.explain` in words, then the page as it was reordered."""
    yield f"search      {json.dumps(steps['search'], ensure_ascii=False)}"
    for index, report in steps["settings"].items():
        said = {name: each for name, each in report["settings"].items() if each["from"] != "default"}
        shown = [f"{name}={json.dumps(each['value'])} ({each['from']})" for name, each in said.items()]
        yield f"settings    {index}: {', '.join(shown) or 'none'}"
        yield from (f"wrong       {problem}" for problem in report["problems"])
    yield f"outcome     {steps['rerank_status']}  (docs/proxy.md says what a reason means)"
    yield f"time, ms    {steps['server_timing']}"
    used = steps["used"]
    if used is not None:
        yield f"query text  {used['query_text']}"
        yield f"fusion      {used['fusion']}, weight {used['weight']}"
        yield f"scored      {used['scored']} of {used['window_size']} hits have a usable vector"
    yield _table(steps["hits"])


def _table(hits: list[dict[str, Any]]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("_id")
    for name in ("rank", "was", "moved", "first stage", "crossing", "fused", "_score"):
        table.add_column(name, justify="right")
    for rank, hit in enumerate(hits, 1):
        table.add_row(hit["_id"], *_cells(rank, hit), f"{hit['_score']:.3f}" if hit["_score"] else "")
    return table


def _cells(rank: int, hit: dict[str, Any]) -> tuple[str, ...]:
    scored = hit["rerank"]
    if scored is None:
        return str(rank), str(rank), "=", "", "", ""
    moved = scored["first_stage_rank"] - scored["rank"]
    crossing = "no vector" if scored["crossing"] is None else f"{scored['crossing']:.3f}"
    return (
        str(scored["rank"]),
        str(scored["first_stage_rank"]),
        f"{moved:+d}" if moved else "=",
        f"{scored['first_stage_score']:.3f}",
        crossing,
        f"{scored['fused']:.3g}",
    )

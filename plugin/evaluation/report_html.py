"""An evaluation as one HTML file: no script, nothing loaded, light and dark."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from plugin.evaluation.evaluate import Evaluation
from plugin.evaluation.measures import Difference
from plugin.evaluation.paired_report import format_interval, format_p
from plugin.evaluation.query_result import NUM_SHOWN, QueryResult, select_best, select_worst

_FOLDER = Path(__file__).parent / "templates"

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_FOLDER),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)


def render_html(evaluation: Evaluation, number: int = NUM_SHOWN) -> str:
    """Return the report, with both pages of the best and of the worst queries, and every query's values."""
    style = (_FOLDER / "report.css").read_text(encoding="utf-8")
    collection, before, after = evaluation.collection, evaluation.first_stage, evaluation.reranked
    return _ENVIRONMENT.get_template("report.html").render(
        policy=f"default-src 'none'; style-src '{_hash_source(style)}'; base-uri 'none'; form-action 'none'",
        style=style,
        name=collection.name,
        documents=f"{collection.num_documents:,}",
        queries=f"{len(collection.queries):,}",
        bundles=", ".join(evaluation.bundles),
        relevant=f"{evaluation.relevant:g}",
        rows=[
            _describe_row("nDCG@10", before.ndcg.mean(), after.ndcg.mean(), evaluation.ndcg),
            _describe_row("RR@10", before.rr.mean(), after.rr.mean(), evaluation.rr),
        ],
        unjudged=(f"{before.unjudged.mean():.0%}", f"{after.unjudged.mean():.0%}"),
        verdict=describe_verdict(evaluation.ndcg),
        statuses=sorted(evaluation.statuses.items()),
        num_skipped=evaluation.num_skipped,
        lists=[
            ("lost most", _describe_results(select_worst(evaluation.results, number))),
            ("gained most", _describe_results(select_best(evaluation.results, number))),
        ],
        every=sorted(evaluation.results, key=lambda result: (result.gain, result.id)),
    )


def describe_verdict(found: Difference) -> str:
    """Return in a sentence what the interval says."""
    if found.low > 0:
        return "Reranked is better than OpenSearch alone: the whole interval is above zero."
    if found.high < 0:
        return "Reranked is worse than OpenSearch alone: the whole interval is below zero."
    return "Neither order is better than the other beyond chance: the interval has zero in it."


def _hash_source(style: str) -> str:
    """Return the source of a Content-Security-Policy that allows this style alone."""
    return f"sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}"


def _describe_row(name: str, before: float, after: float, found: Difference) -> dict[str, str]:
    return {
        "name": name,
        "before": f"{before:.3f}",
        "after": f"{after:.3f}",
        "difference": format_interval(found),
        "p": format_p(found),
        "counts": f"{found.won} / {found.lost} / {found.tied}",
    }


def _describe_results(results: Sequence[QueryResult]) -> list[dict[str, Any]]:
    return [{"result": result, "hits": _describe_hits(result)} for result in results]


def _describe_hits(result: QueryResult) -> list[dict[str, Any]]:
    """Return the rows of both pages: a hit of each side, or None, and how the reranked one moved."""
    before, after, moves = result.orders.straight.hits, result.orders.reranked.hits, result.orders.moves
    return [
        {
            "sides": [_describe_hit(result, side, place) for side in (before, after)],
            "move": moves[place] if place < len(after) else "",
        }
        for place in range(max(len(before), len(after)))
    ]


def _describe_hit(result: QueryResult, hits: Sequence[dict[str, Any]], place: int) -> dict[str, str] | None:
    if place >= len(hits):
        return None
    grade = result.grades.get(hits[place]["_id"])
    shown = "" if grade is None else f"{grade:g}"
    return {"id": hits[place]["_id"], "title": hits[place]["title"], "grade": shown}

"""An evaluation as a table, as JSON and as a row of Markdown."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy.typing as npt
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from plugin.evaluation.evaluate import Evaluation
from plugin.evaluation.measures import Difference, Measures
from plugin.evaluation.paired_report import format_interval, format_p
from plugin.evaluation.query_result import NUM_SHOWN, QueryResult, select_best, select_worst
from plugin.harness.comparison_table import build_orders_table

MARKDOWN_HEAD = (
    "| collection | documents | queries | nDCG@10 BM25 | reranked | difference (95 %) | p |"
    " won / lost / tied | RR@10 BM25 | reranked | bad in top 10 | unjudged |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def build_table(evaluation: Evaluation) -> Table:
    """Return both orders' measures side by side."""
    collection = evaluation.collection
    title = f"{collection.name}: {collection.num_documents:,} documents, {len(collection.queries):,} queries"
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left")
    table.add_column("")
    for name in ("OpenSearch alone", "through Twinrank", "difference (95 %)", "p", "won / lost / tied"):
        table.add_column(name, justify="right")
    before, after = evaluation.first_stage, evaluation.reranked
    table.add_row("nDCG@10", *_pair(before.ndcg, after.ndcg), *_compared(evaluation.ndcg))
    table.add_row(_rr_name(evaluation), *_pair(before.rr, after.rr), *_compared(evaluation.rr))
    table.add_row("bad hits in the top 10", *_bad(evaluation))
    table.add_row("unjudged in the top 10", _share(before), _share(after))
    table.add_row("searches", "", ", ".join(f"{n} {status}" for status, n in evaluation.statuses.items()))
    return table


def format_queries(evaluation: Evaluation, number: int = NUM_SHOWN) -> Iterator[Table | Text]:
    """Yield the queries that lost most and those that gained most, each with both pages.

    A hit is shown by its grade and its title, as `twinrank search` prints it.
    """
    worst, best = select_worst(evaluation.results, number), select_best(evaluation.results, number)
    yield from _format_pages("lost most", worst)
    yield from _format_pages("gained most", best)


def _format_pages(words: str, results: Sequence[QueryResult]) -> Iterator[Table | Text]:
    if not results:
        yield Text(f"No query {words.split()[0]}.", style="bold")
        return
    yield Text(f"The queries that {words} (nDCG@10; a hit's grade is before its title)", style="bold")
    for result in results:
        yield Text(result.format())
        yield build_orders_table(result.orders, result.describe_hit)


def format_markdown(evaluation: Evaluation) -> str:
    """Return one row for the table under MARKDOWN_HEAD."""
    collection, before, after = evaluation.collection, evaluation.first_stage, evaluation.reranked
    cells = [collection.name, f"{collection.num_documents:,}", f"{len(collection.queries):,}"]
    cells += [*_pair(before.ndcg, after.ndcg), *_compared(evaluation.ndcg), *_pair(before.rr, after.rr)]
    bad = " → ".join(_bad(evaluation)) if evaluation.has_negatives else "n/a"
    cells += [bad, f"{_share(before)} → {_share(after)}"]
    return f"| {' | '.join(cells)} |"


def describe_evaluation(evaluation: Evaluation) -> dict[str, Any]:
    """Return everything as plain values; bad hits are null if no document was judged not relevant."""
    return {
        "collection": evaluation.collection.name,
        "documents": evaluation.collection.num_documents,
        "queries": len(evaluation.collection.queries),
        "relevant_grade": evaluation.relevant,
        "first_stage": _means(evaluation, evaluation.first_stage),
        "reranked": _means(evaluation, evaluation.reranked),
        "ndcg@10_difference": vars(evaluation.ndcg),
        "rr@10_difference": vars(evaluation.rr),
        "statuses": evaluation.statuses,
        "bundles": list(evaluation.bundles),
        "results": [_describe_result(result) for result in evaluation.results],
    }


def _describe_result(result: QueryResult) -> dict[str, Any]:
    """Return one query's values and both pages, each hit with its grade, null if it has none."""
    sides = {"opensearch": result.orders.straight, "twinrank": result.orders.reranked}
    pages = {
        name: [
            {"_id": hit["_id"], "title": hit["title"], "judgment": result.grades.get(hit["_id"])}
            for hit in answer.hits
        ]
        for name, answer in sides.items()
    }
    return {
        "query_id": result.id,
        "query": result.text,
        "ndcg@10": {"opensearch": result.before, "twinrank": result.after},
        "rerank_status": result.orders.reranked.status,
        **pages,
    }


def _means(evaluation: Evaluation, measures: Measures) -> dict[str, float | None]:
    return {
        "ndcg@10": float(measures.ndcg.mean()),
        "rr@10": float(measures.rr.mean()),
        "bad@10": float(measures.bad.mean()) if evaluation.has_negatives else None,
        "unjudged@10": float(measures.unjudged.mean()),
    }


def _rr_name(evaluation: Evaluation) -> str:
    return "RR@10" if evaluation.relevant == 1 else f"RR@10 (grade {evaluation.relevant:g} and above)"


def _pair(before: npt.NDArray[Any], after: npt.NDArray[Any]) -> tuple[str, str]:
    return f"{before.mean():.3f}", f"{after.mean():.3f}"


def _compared(found: Difference) -> tuple[str, str, str]:
    return format_interval(found), format_p(found), f"{found.won} / {found.lost} / {found.tied}"


def _bad(evaluation: Evaluation) -> tuple[str, str]:
    if not evaluation.has_negatives:
        return "n/a", "n/a"
    return f"{evaluation.first_stage.bad.mean():.2f}", f"{evaluation.reranked.bad.mean():.2f}"


def _share(measures: Measures) -> str:
    return f"{measures.unjudged.mean():.0%}"

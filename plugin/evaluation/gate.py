"""Whether an evaluation is no worse than a baseline: checks that pass or fail."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from plugin.evaluation.baseline import Baseline, digest_grades
from plugin.evaluation.evaluate import Evaluation
from plugin.evaluation.measures import Difference, compare
from plugin.evaluation.paired_report import format_difference
from plugin.evaluation.query_result import PairedQuery

TOLERANCE = 1e-6
"""Values that differ by no more are equal: those in a baseline are rounded."""

Outcome = Literal["passed", "failed"]


@dataclass(frozen=True)
class GateCheck:
    """One check: its name, what came of it, and why in a sentence."""

    name: str
    outcome: Outcome
    detail: str


@dataclass(frozen=True)
class GateResult:
    """All checks, and what was noticed beside them.

    `compared` are the queries that are in the baseline with the same judgements: `before` is the baseline's
    value, `after` the present one.
    """

    index: str
    checks: tuple[GateCheck, ...]
    notes: tuple[str, ...]
    compared: tuple[PairedQuery, ...]
    change: Difference | None
    against_first_stage: Difference

    @property
    def has_passed(self) -> bool:
        """Whether no check failed."""
        return not any(check.outcome == "failed" for check in self.checks)


def check_gate(evaluation: Evaluation, baseline: Baseline) -> GateResult:
    """Compare an evaluation with a baseline of the same index."""
    results = {result.id: result for result in evaluation.results}
    same = [
        id_
        for id_, known in baseline.queries.items()
        if id_ in results and digest_grades(results[id_].grades) == known.judgments
    ]
    compared = tuple(
        PairedQuery(id_, results[id_].text, before, _tie(before, results[id_].after))
        for id_, before in ((id_, baseline.queries[id_].value) for id_ in same)
    )
    change = _compare(compared) if compared else None
    checks = (
        _check_reranked(evaluation),
        _check_change(change, len(compared)),
        _check_difference("no worse than OpenSearch alone", evaluation.ndcg),
        *_check_pinned(baseline, compared),
    )
    notes = tuple(_list_notes(evaluation, baseline, len(same)))
    return GateResult(evaluation.collection.name, checks, notes, compared, change, evaluation.ndcg)


def _tie(before: float, after: float) -> float:
    """Return a value, or the one before it if the two differ by rounding alone."""
    return before if abs(after - before) <= TOLERANCE else after


def _compare(compared: Sequence[PairedQuery]) -> Difference:
    """Return the paired difference."""
    return compare(
        np.array([query.before for query in compared]), np.array([query.after for query in compared])
    )


def _check_reranked(evaluation: Evaluation) -> GateCheck:
    total, skipped = len(evaluation.results), evaluation.num_skipped
    statuses = ", ".join(f"{number} {status}" for status, number in evaluation.statuses.items())
    return GateCheck("searches are reranked", "failed" if skipped == total else "passed", statuses)


def _check_change(change: Difference | None, number: int) -> GateCheck:
    name = "no worse than the baseline"
    if change is None:
        return GateCheck(name, "failed", "No query is in the baseline with these judgements: use --update.")
    found = _check_difference(name, change)
    return GateCheck(name, found.outcome, f"{found.detail} over {number} queries")


def _check_difference(name: str, found: Difference) -> GateCheck:
    """Fail if the whole interval of the difference is below zero."""
    return GateCheck(name, "failed" if found.high < 0 else "passed", format_difference(found))


def _check_pinned(baseline: Baseline, compared: Sequence[PairedQuery]) -> list[GateCheck]:
    known = {query.id: query for query in compared}
    return [_check_one(id_, baseline, known.get(id_)) for id_ in baseline.pinned]


def _check_one(id_: str, baseline: Baseline, query: PairedQuery | None) -> GateCheck:
    if query is None:
        text = baseline.queries[id_].query if id_ in baseline.queries else ""
        return GateCheck(
            f"pinned {id_} “{text}”", "failed", "The query is gone, or its judgements have changed."
        )
    detail = f"{query.before:.3f} → {query.after:.3f}"
    outcome: Outcome = "failed" if query.after < query.before else "passed"
    return GateCheck(f"pinned {id_} “{query.text}”", outcome, detail)


def _list_notes(evaluation: Evaluation, baseline: Baseline, num_same: int) -> list[str]:
    """Return what changed beside the values; none of it fails the gate."""
    now, then = set(evaluation.collection.queries), set(baseline.queries)
    changed = len(now & then) - num_same
    notes = []
    if evaluation.bundles != baseline.bundles and evaluation.bundles:
        bundles = [", ".join(each) or "none" for each in (baseline.bundles, evaluation.bundles)]
        notes.append(f"The bundle was {bundles[0]} and is {bundles[1]}.")
    if then - now:
        notes.append(f"{len(then - now)} queries of the baseline are gone: {_name(then - now)}.")
    if now - then:
        notes.append(f"{len(now - then)} queries are new and not compared: {_name(now - then)}.")
    if changed:
        notes.append(f"{changed} queries have other judgements than in the baseline and are not compared.")
    if evaluation.relevant != baseline.relevant:
        notes.append(f"--relevant was {baseline.relevant:g} and is {evaluation.relevant:g}.")
    if evaluation.num_skipped:
        notes.append(f"{evaluation.num_skipped} of {len(now)} searches were not reranked.")
    return notes


def _name(ids: set[str], number: int = 5) -> str:
    shown = sorted(ids)[:number]
    return ", ".join(shown) + (", …" if len(ids) > number else "")

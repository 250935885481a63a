"""What a ranking is worth: measures by ir-measures, and whether two rankings differ by more than chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ir_measures
import numpy as np
from ir_measures import RR, nDCG
from scipy.stats import ttest_rel

from reranker.arrays import Floats64

DEPTH = 10
"""How many hits of a page are measured."""

SCALE = 1000
"""Fractional grades become whole thousandths, which ir-measures needs. With its linear gains nDCG stays the
same whatever the unit."""

Qrels = Mapping[str, Mapping[str, float]]
Run = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Measures:
    """One ranking's measures, each (num_queries,) float64 in the order of the qrels.

    `ndcg` is nDCG@10 (linear gains, as in trec_eval). `rr` is the reciprocal rank of the first relevant hit
    of ten, 0 if there is none. `bad` counts the hits of the top 10 that were judged and found not relevant,
    `unjudged` is the share of those hits that nobody judged.
    """

    ndcg: Floats64
    rr: Floats64
    bad: Floats64
    unjudged: Floats64


@dataclass(frozen=True)
class Difference:
    """A paired comparison of one measure, second minus first.

    `low` and `high` bound the mean difference at 95 % confidence; `p` is the two-sided paired t-test's.
    `won`, `lost` and `tied` count queries.
    """

    mean: float
    low: float
    high: float
    p: float
    won: int
    lost: int
    tied: int


def measure(qrels: Qrels, run: Run, *, relevant: float = 1) -> Measures:
    """Measure a run: document ids of each query, best first. A query without hits counts as 0.

    `relevant` is the lowest grade that counts as relevant; nDCG uses the grades themselves.
    """
    scale = _choose_scale(qrels, relevant)
    whole = {query: {doc: round(g * scale) for doc, g in grades.items()} for query, grades in qrels.items()}
    ndcg, rr = nDCG @ DEPTH, RR(rel=round(relevant * scale)) @ DEPTH
    # Scores that fall with the rank: ties among a run's own scores must not be reordered by document id.
    scored = {query: {doc: float(-rank) for rank, doc in enumerate(run.get(query, ()))} for query in qrels}
    values = {ndcg: dict.fromkeys(qrels, 0.0), rr: dict.fromkeys(qrels, 0.0)}
    for metric in ir_measures.iter_calc([ndcg, rr], whole, scored):
        values[metric.measure][metric.query_id] = metric.value
    judged = [_judged(grades, run.get(query, ())[:DEPTH], relevant) for query, grades in qrels.items()]
    bad, unjudged = np.array(judged, np.float64).T
    return Measures(np.array(list(values[ndcg].values())), np.array(list(values[rr].values())), bad, unjudged)


def compare(before: Floats64, after: Floats64) -> Difference:
    """Compare (num_queries,) float64 values of two rankings of the same queries."""
    moved = after - before
    won, lost = int((moved > 0).sum()), int((moved < 0).sum())
    counts = {"won": won, "lost": lost, "tied": len(moved) - won - lost}
    mean = float(moved.mean())
    if len(moved) < 2 or np.ptp(moved) == 0:  # no spread to test against
        return Difference(mean, mean, mean, 1.0, **counts)
    test = ttest_rel(after, before)
    low, high = test.confidence_interval()
    return Difference(mean, float(low), float(high), float(test.pvalue), **counts)


def _choose_scale(qrels: Qrels, relevant: float) -> int:
    """Return SCALE if any number is a fraction, else 1."""
    numbers = [relevant, *(grade for grades in qrels.values() for grade in grades.values())]
    return 1 if all(float(number).is_integer() for number in numbers) else SCALE


def _judged(grades: Mapping[str, float], top: Sequence[str], relevant: float) -> tuple[int, float]:
    """Return how many hits were judged and are not relevant, and the share that was not judged."""
    bad = sum(grades.get(doc, relevant) < relevant for doc in top)
    unjudged = sum(doc not in grades for doc in top)
    return bad, unjudged / len(top) if top else 0.0

"""Measures of reranked hits, by query, and their confidence intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import ir_measures
import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from model_export.data.collection import Hits, JudgedCollection
from reranker.arrays import Floats64

CUT = 10
BINS = 10
"""Bins of probability, of equal width, for the calibration error."""
RESAMPLES = 1000
_BY_NAME = {"nDCG@10": ir_measures.parse_measure("nDCG@10"), "RR@10": ir_measures.parse_measure("RR@10")}
NAMES = (*_BY_NAME, "ROC-AUC", "bad@10", "bad/judged@10")


def measure_queries(data: JudgedCollection, run: Hits) -> dict[str, Floats64]:
    """Return each measure's values: name -> (queries,) float64, NaN if it is undefined.

    `bad@10` counts the hits among the first ten that were judged not relevant. If the collection has no such
    judgements, it counts every hit without a positive one. `bad/judged@10` is their share of the judged hits
    among the first ten: the paper's measure, in which every result was judged. If few hits are judged, a
    better order shows more judged ones, good and bad, and the count alone rises. `ROC-AUC` is over all hits
    of a query.
    """
    qrels = {query: data.qrels[query] for query in data.queries}
    found = {name: dict.fromkeys(data.queries, 0.0) for name in _BY_NAME}
    for value in ir_measures.iter_calc(list(_BY_NAME.values()), qrels, run):
        found[str(value.measure)][value.query_id] = value.value
    judges_bad = any(grade <= 0 for grades in qrels.values() for grade in grades.values())
    values = {name: np.array(list(each.values())) for name, each in found.items()}
    values["ROC-AUC"] = np.array([_compute_auc(qrels[query], run.get(query, {})) for query in data.queries])
    shown = [_count_shown(qrels[query], run.get(query, {}), judges_bad=judges_bad) for query in data.queries]
    values["bad@10"] = np.array([float(bad) for bad, _ in shown])
    values["bad/judged@10"] = np.array([bad / judged if judged else np.nan for bad, judged in shown])
    return values


def _compute_auc(grades: dict[str, int], scores: dict[str, float]) -> float:
    """Return the share of pairs of a relevant and another hit in the right order; a tie counts half."""
    relevant = np.array([grades.get(hit, 0) > 0 for hit in scores], bool)
    positives, negatives = int(relevant.sum()), int((~relevant).sum())
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(list(scores.values()))
    return float((ranks[relevant].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _count_shown(grades: dict[str, int], scores: dict[str, float], *, judges_bad: bool) -> tuple[int, int]:
    """Return how many of the first ten hits are bad, and how many were judged."""
    first = sorted(scores, key=lambda hit: -scores[hit])[:CUT]
    judged = [hit for hit in first if hit in grades] if judges_bad else first
    return sum(grades.get(hit, 0) <= 0 for hit in judged), len(judged)


@dataclass(frozen=True)
class Reliability:
    """How often hits of similar probability are relevant, by bin: all (bins,); `error` is the ECE."""

    probability: Floats64
    relevant: Floats64
    count: Floats64

    @property
    def error(self) -> float:
        """The expected calibration error: mean |probability - share relevant|, weighted by the bins' hits.

        Source: Naeini, Cooper, Hauskrecht 2015.
        """
        return float((np.abs(self.probability - self.relevant) * self.count).sum() / self.count.sum())


def bin_probabilities(probabilities: Floats64, relevant: npt.NDArray[np.bool_]) -> Reliability:
    """Put hits into bins by probability: two arrays (hits,) -> the bins that are not empty."""
    places = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    count = np.bincount(places, minlength=BINS).astype(float)
    filled = count > 0
    mean = np.bincount(places, probabilities, BINS)[filled] / count[filled]
    share = np.bincount(places, relevant, BINS)[filled] / count[filled]
    return Reliability(mean, share, count[filled])


def average_collections(collections: Sequence[Floats64]) -> float:
    """Return the mean of the collections' means, without undefined values."""
    return float(np.mean([np.nanmean(values) for values in collections]))


def estimate_interval(collections: Sequence[Floats64], *, seed: int = 1) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean: queries are resampled within each collection."""
    random = np.random.default_rng(seed)
    means = np.zeros(RESAMPLES)
    for values in collections:
        known = values[np.isfinite(values)]
        means += known[random.integers(0, len(known), (RESAMPLES, len(known)))].mean(axis=1)
    low, high = np.quantile(means / len(collections), [0.025, 0.975])
    return float(low), float(high)

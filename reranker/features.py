"""What a combiner sees of each hit: the one table of features, and how they are computed.

They depend on the window, the bundle and the settings' signals and exact fields, not on the settings' fusion:
a combiner stays right if someone changes a weight. Those that differ between queries for no reason of
relevance, such as the size of a BM25 score, are there in relation to the window's best too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from reranker.arrays import Booleans, Floats, Floats64
from reranker.crossing import Crossing
from reranker.feature_table import FeatureTable, join_features
from reranker.feedback import similarity_to_best
from reranker.fusion import choose_fusion
from reranker.rerank import Ranking, find_reliable, rank
from reranker.smoothing import mean_of_nearest
from reranker.window_vectors import WindowVectors

FEATURES: Mapping[str, str] = {
    "first_stage": "OpenSearch's score.",
    "first_stage_log": "Its natural logarithm, at least -20.",
    "first_stage_share": "Its share of the window's highest score.",
    "first_stage_rank": "The hit's rank in OpenSearch's order, from 1.",
    "crossing": "The crossing of query and document; the window's median without a usable vector.",
    "crossing_gap": "The crossing minus the window's highest: 0 or less.",
    "crossing_rank": "The hit's rank by crossing, from 1; equal ones share the best rank.",
    "has_vector": "1 with a usable vector, else 0.",
    "fused": "The logarithm of the `log_linear` score with the bundle's weight, minus the window's highest;"
    " at least -50.",
    "similarity": "Cosine to the three best hits by `fused`; 0 without a usable vector.",
    "neighbours": "Mean of `fused` over the ten hits with the nearest vectors; its own value without one.",
    "window": "The number of hits in the window.",
    "query_words": "The number of words in the query.",
    "exact": "1 if a field of `keep_exact` equals the query, else 0.",
}
"""Every feature that each search has, with a sentence on it. The order is that of a table's rows."""

SIGNAL_PREFIX = "signal."
"""Before a signal's field: its s, 0 to 1, whatever the weight; a second one of a field has `#2` after it."""

LOGGED_PREFIX = "ltr."
"""Before the name of a feature that OpenSearch's Learning to Rank plugin logs with each hit."""

_LEAST_LOG, _LEAST_FUSED = -20.0, -50.0


@dataclass(frozen=True)
class FeatureInput:
    """What features are computed from.

    Attributes:
        first_stage: (num_hits,) float64.
        query: (dim,) float32, a unit vector.
        vectors: the window's.
        crossing: the bundle's crossing layer.
        weight: the bundle's own fusion weight.
        query_text: the search's.
        exact: (num_hits,) bool, which hits are exact matches.
        others: more features by name, each (num_hits,) float64 and finite.
    """

    first_stage: Floats64
    query: Floats
    vectors: WindowVectors
    crossing: Crossing
    weight: float
    query_text: str
    exact: Booleans
    others: Mapping[str, Floats64]


def compute_features(given: FeatureInput) -> FeatureTable:
    """Return the features of a window of at least one hit, in the order of FEATURES, then the others.

    Raises:
        ScoresError: first-stage scores that are negative or not finite.
    """
    num_hits = len(given.first_stage)
    fuse = choose_fusion("log_linear", given.weight, 1)
    base = rank(given.first_stage, given.vectors.scores(given.query, given.crossing), fuse)
    found = {
        **_describe_first_stage(given.first_stage),
        **_describe_crossing(base),
        **_describe_neighbourhood(base, given),
        "window": np.full(num_hits, float(num_hits)),
        "query_words": np.full(num_hits, float(len(given.query_text.split()))),
        "exact": given.exact.astype(np.float64),
    }
    return join_features([*((name, found[name]) for name in FEATURES), *given.others.items()])


def _describe_first_stage(scores: Floats64) -> dict[str, Floats64]:
    highest = scores.max()
    with np.errstate(divide="ignore"):
        logarithms = np.maximum(np.log(scores), _LEAST_LOG)
    return {
        "first_stage": scores,
        "first_stage_log": logarithms,
        "first_stage_share": scores / highest if highest > 0 else np.ones(len(scores)),
        "first_stage_rank": np.arange(1.0, len(scores) + 1),
    }


def _describe_crossing(base: Ranking) -> dict[str, Floats64]:
    has_vector = np.isfinite(base.crossing)
    crossing = np.where(has_vector, base.crossing, base.neutral).astype(np.float64)
    higher = np.searchsorted(np.sort(-crossing), -crossing, side="left")
    return {
        "crossing": crossing,
        "crossing_gap": crossing - crossing.max(),
        "crossing_rank": 1.0 + higher,
        "has_vector": has_vector.astype(np.float64),
    }


def _describe_neighbourhood(base: Ranking, given: FeatureInput) -> dict[str, Floats64]:
    reliable, highest = find_reliable(base), base.fused.max()
    similarity = similarity_to_best(reliable, base.fused, given.query, given.vectors, given.crossing)
    if similarity is None:
        similarity = np.zeros(len(base.fused), np.float32)
    means = mean_of_nearest(reliable, base.fused, given.query, given.vectors, given.crossing)
    fused = np.maximum(base.fused - highest, _LEAST_FUSED)
    neighbours = np.where(np.isfinite(means), np.maximum(means - highest, _LEAST_FUSED), fused)
    return {
        "fused": fused,
        "similarity": np.nan_to_num(similarity.astype(np.float64), nan=0.0),
        "neighbours": neighbours,
    }

"""Pseudo-relevance feedback: the best hits of a first order say what the query may mean as well.

Rocchio's method on stored vectors: crossing + weight * similarity, to the mean of the best hits' vectors. For
a cosine that is the crossing with the query vector q + weight * mean. It costs one more look at the window
and no encoding. Sources: Rocchio 1971; for dense vectors Li et al., arXiv 2108.11044.
"""

from dataclasses import replace

import numpy as np

from reranker.arrays import Floats, Floats64
from reranker.crossing import Cosine, Crossing
from reranker.fusion import Fusion
from reranker.window import Ranking, rank
from reranker.window_vectors import WindowVectors

VOTERS = 3
"""How many of the best hits are looked at: by nDCG@10 better than ten (docs/models.md)."""

_COSINE = Cosine(scale=1.0, offset=0.0)


def with_feedback(
    ranking: Ranking,
    first_stage: Floats64,
    fusion: Fusion,
    *,
    query: Floats,
    vectors: WindowVectors,
    crossing: Crossing,
    weight: float,
) -> Ranking:
    """Rank a ranked window anew, `weight` times each hit's similarity to the best ones added to its crossing.

    Args:
        ranking: the first order; without a usable vector in it, it stays as it is.
        first_stage: (num_hits,) float64, as for `rank`.
        fusion: as for `rank`.
        query: (dim,) float32, a unit vector.
        vectors: the window's.
        crossing: the bundle's crossing layer, by which a document of several chunks is its best one.
        weight: what a similarity, a cosine, counts beside a crossing score.

    Returns:
        The new order; `crossing` and `neutral` are still the query's own, `similarity` is filled.

    Raises:
        ScoresError: as `rank`.
    """
    voters = [i for i in ranking.order if np.isfinite(ranking.crossing[i] + ranking.fused[i])][:VOTERS]
    if not voters:
        return ranking
    votes = np.exp(ranking.fused[voters] - ranking.fused[voters].max())
    best = vectors.best_chunks(query, crossing, np.array(voters))
    mean = ((votes / votes.sum()) @ best).astype(np.float32)
    similarity = vectors.scores(mean, _COSINE)
    voted = rank(first_stage, ranking.crossing + np.float32(weight) * similarity, fusion)
    return replace(voted, crossing=ranking.crossing, neutral=ranking.neutral, similarity=similarity)

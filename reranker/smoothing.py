"""Score smoothing: hits that are alike are relevant to the same queries, so they share scores.

The cluster hypothesis on stored vectors, which know more of how documents are related than the few words of a
query do: (1 - share) * own fused value + share * the mean of the nearest hits', weighted by exp(SHARPNESS *
cosine). It costs one product of the window's vectors with themselves, no encoding. Sources: van Rijsbergen,
Information Retrieval, 1979; Diaz, Regularizing query-based retrieval scores, 2007, of which this is one step.
"""

from dataclasses import replace

import numpy as np

from reranker.arrays import Floats, Floats64
from reranker.crossing import Crossing
from reranker.window import Ranking
from reranker.window_vectors import WindowVectors

NEIGHBOURS = 10
"""How many of the nearest hits a hit looks at, itself among them; 5 to 20 differ little (docs/models.md)."""

DEEPEST = 200
"""How many of the best hits are smoothed, and looked at: the cost grows with their square."""

SHARPNESS = 10.0
"""How fast a neighbour's weight falls with its cosine: at .7 it is exp(-3) of the hit's own."""


def smoothed(
    ranking: Ranking,
    *,
    query: Floats,
    vectors: WindowVectors,
    crossing: Crossing,
    share: float,
) -> Ranking:
    """Rank a ranked window anew, `share` of each hit's fused value being its nearest hits'.

    Args:
        ranking: the order so far. A hit without a usable vector, one fused to -inf, and those after the first
            DEEPEST keep their values.
        query: (dim,) float32, a unit vector: of several chunks, the one nearest to it is compared.
        vectors: the window's.
        crossing: the bundle's crossing layer, by which that chunk is found.
        share: 0 to 1.

    Returns:
        The new order, ties in first-stage order; `neighbours` is filled.
    """
    finite = np.isfinite(ranking.crossing[ranking.order] + ranking.fused[ranking.order])
    best = ranking.order[finite][:DEEPEST]
    neighbours = np.full(len(ranking.fused), np.nan)
    if len(best):
        chunks = vectors.best_chunks(query, crossing, best)
        neighbours[best] = _nearness(chunks) @ ranking.fused[best]
    mixed = np.where(np.isnan(neighbours), ranking.fused, _mix(ranking.fused, neighbours, share))
    return replace(ranking, order=np.argsort(-mixed, kind="stable"), fused=mixed, neighbours=neighbours)


def _mix(own: Floats64, neighbours: Floats64, share: float) -> Floats64:
    with np.errstate(invalid="ignore"):  # -inf times a share of 0; such a hit keeps its own value
        return (1 - share) * own + share * neighbours


def _nearness(chunks: Floats) -> Floats64:
    """Return (num_hits, num_hits) weights that add up to 1 in each row, 0 but for the nearest."""
    cosines = (chunks @ chunks.T).astype(np.float64)
    if len(chunks) > NEIGHBOURS:
        least = np.partition(cosines, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS]
        cosines = np.where(cosines >= least[:, None], cosines, -np.inf)
    weights = np.exp(SHARPNESS * (cosines - 1))
    normalised: Floats64 = weights / weights.sum(axis=1, keepdims=True)
    return normalised

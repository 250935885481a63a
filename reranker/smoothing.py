"""Score smoothing: hits that are alike are relevant to the same queries, so they share scores.

The cluster hypothesis on stored vectors, which know more of how documents are related than the few words of a
query do: (1 - share) * own fused value + share * the mean of the nearest hits', weighted by exp(SHARPNESS *
cosine). It costs one product of the window's vectors with themselves, no encoding. Sources: van Rijsbergen,
Information Retrieval, 1979; Diaz, Regularizing query-based retrieval scores, 2007, of which this is one step.
"""

import numpy as np

from reranker.arrays import Floats, Floats64, Positions
from reranker.crossing import Crossing
from reranker.window_vectors import WindowVectors

NEIGHBOURS = 10
"""Number of nearest hits, the hit itself included; 5 to 20 differ little (docs/reference/models.md)."""

DEEPEST = 200
"""How many of the best hits are smoothed and compared: the cost grows with their square."""

SHARPNESS = 10.0
"""How fast a neighbour's weight falls with its cosine: at 0.7 it is exp(-3) of the hit's own."""


def mean_of_nearest(
    best: Positions, fused: Floats64, query: Floats, vectors: WindowVectors, crossing: Crossing
) -> Floats64:
    """Return for each of the best hits the weighted mean of its nearest hits' fused values.

    Args:
        best: hits with a usable vector and a finite fused value, best first; the first DEEPEST count.
        fused: (num_hits,) float64, in first-stage order.
        query: (dim,) float32, a unit vector: of several chunks, the one nearest to it is compared.
        vectors: the window's.
        crossing: the bundle's crossing layer, by which that chunk is found.

    Returns:
        (num_hits,) float64 in first-stage order, NaN for the other hits.
    """
    chosen = best[:DEEPEST]
    means = np.full(len(fused), np.nan)
    if len(chosen):
        chunks = vectors.best_chunks(query, crossing, chosen)
        means[chosen] = _nearness(chunks) @ fused[chosen]
    return means


def mix(own: Floats64, neighbours: Floats64, share: float) -> Floats64:
    """Return (1 - share) * own + share * neighbours; a hit whose neighbours are NaN keeps its own value."""
    with np.errstate(invalid="ignore"):  # -inf times a share of 0; such a hit keeps its own value
        mixed = (1 - share) * own + share * neighbours
    return np.where(np.isnan(neighbours), own, mixed)


def _nearness(chunks: Floats) -> Floats64:
    """Return (num_hits, num_hits) weights that add up to 1 in each row, 0 except for the nearest.

    They are computed in float32, as precise as the cosines are; what they weigh is float64. A damaged vector
    that is much longer than 1 makes the weights of its own and its nearest hits' rows NaN.
    """
    weights: Floats = chunks @ chunks.T
    if len(chunks) > NEIGHBOURS:
        least = np.partition(weights, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS]
        weights[weights < least[:, None]] = -np.inf
    with np.errstate(over="ignore", invalid="ignore"):
        weights = np.exp(np.float32(SHARPNESS) * (weights - np.float32(1)))
        normalised: Floats64 = weights / weights.sum(axis=1, keepdims=True, dtype=np.float64)
    return normalised

"""Pseudo-relevance feedback: the best hits of a first order show what else the query may mean.

Rocchio's method on stored vectors: crossing + weight * similarity, to the mean of the feedback documents'
vectors. For a cosine that is the crossing with the query vector q + weight * mean. It costs one more look at
the window and no encoding. Sources: Rocchio 1971; for dense vectors Li et al., arXiv 2108.11044.
"""

import numpy as np

from reranker.arrays import Floats, Floats64, Positions
from reranker.crossing import Cosine, Crossing
from reranker.window_vectors import WindowVectors

FEEDBACK_DOCUMENTS = 3
"""How many of the best hits are feedback documents; ten are no better (docs/reference/models.md)."""

_COSINE = Cosine(scale=1.0, offset=0.0)


def similarity_to_best(
    best: Positions, fused: Floats64, query: Floats, vectors: WindowVectors, crossing: Crossing
) -> Floats | None:
    """Return each hit's cosine to the mean vector of the feedback documents, weighted by exp(fused).

    Args:
        best: hits with a usable vector and a finite fused value, best first; FEEDBACK_DOCUMENTS count.
        fused: (num_hits,) float64, in first-stage order.
        query: (dim,) float32, a unit vector.
        vectors: the window's.
        crossing: the bundle's crossing layer, by which a document of several chunks is its best one.

    Returns:
        (num_hits,) float32, NaN for a hit without a usable vector; None if there is no feedback document.
    """
    chosen = best[:FEEDBACK_DOCUMENTS]
    if not len(chosen):
        return None
    weights = np.exp(fused[chosen] - fused[chosen].max())
    chunks = vectors.best_chunks(query, crossing, chosen)
    mean = ((weights / weights.sum()) @ chunks).astype(np.float32)
    return vectors.scores(mean, _COSINE)

"""The crossing layer: how a query vector and document vectors become scores (TwinBERT, section 3.3)."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class Crossing(Protocol):
    """What fusion and explanation need of a crossing layer."""

    def __call__(self, query: Floats, documents: Floats) -> Floats:
        """Score documents: (dim,) x (num_documents, dim) -> (num_documents,) float32, higher is better."""
        ...

    def probability(self, scores: Floats) -> Floats:
        """Return the calibrated probability of relevance of each score, in 0 to 1, same shape."""
        ...


@dataclass(frozen=True)
class Cosine:
    """The cosine crossing: score = cos(q, k), probability = sigmoid(scale * score + offset).

    Both towers give unit vectors, so the cosine is a dot product. Quantisation moves a stored vector's norm
    by less than 0.1 %, which changes no order that matters, so it is not divided out again.
    Source: TwinBERT (arXiv 2002.06275), equations 4 and 5.
    """

    scale: float
    offset: float

    def __call__(self, query: Floats, documents: Floats) -> Floats:
        """Score documents: (dim,) x (num_documents, dim) -> (num_documents,) float32 in -1 to 1."""
        # Not `documents @ query`: a matrix product gives equal rows unequal last bits by their position, and
        # two copies of a document would change places.
        scores: Floats = np.vecdot(documents, query)
        return scores

    def probability(self, scores: Floats) -> Floats:
        """Return sigmoid(scale * score + offset), same shape, float32."""
        with np.errstate(over="ignore"):  # exp may reach infinity, whose probability is the right one: 0
            probabilities: Floats = 1.0 / (1.0 + np.exp(-(self.scale * scores + self.offset)))
        return probabilities.astype(np.float32)

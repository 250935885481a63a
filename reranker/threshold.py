"""A least probability: hits that are unlikely to be relevant go last, or out of the window.

The probability is the calibrated crossing's alone: fusion, smoothing and signals order hits, and do not say
how relevant one is.
"""

from dataclasses import replace

import numpy as np

from reranker.arrays import Booleans
from reranker.crossing import Cosine, Crossing, Residual
from reranker.rerank import Ranking


def is_calibrated(crossing: Crossing) -> bool:
    """Whether a crossing's probabilities are fitted to judged queries: its parameters are not 1 and 0."""
    return not isinstance(crossing, Cosine | Residual) or (crossing.scale, crossing.offset) != (1.0, 0.0)


def demote_unlikely(ranking: Ranking, crossing: Crossing, least: float) -> Ranking:
    """Put the hits of a lower probability than `least` last, among themselves in the order that they have.

    A hit without a usable vector has no probability, and keeps its place among the others.

    Returns:
        The new order; `unlikely` is filled.
    """
    unlikely = _find_unlikely(ranking, crossing, least)
    last = unlikely[ranking.order]
    order = np.concatenate([ranking.order[~last], ranking.order[last]])
    return replace(ranking, order=order, unlikely=unlikely)


def cut_unlikely(ranking: Ranking, crossing: Crossing, least: float) -> Ranking:
    """Take these hits out of the order instead; `order` is shorter then than the window."""
    unlikely = _find_unlikely(ranking, crossing, least)
    return replace(ranking, order=ranking.order[~unlikely[ranking.order]], unlikely=unlikely)


def _find_unlikely(ranking: Ranking, crossing: Crossing, least: float) -> Booleans:
    """Return (num_hits,) bool; what has no crossing compares as false."""
    unlikely: Booleans = crossing.probability(ranking.crossing) < least
    return unlikely

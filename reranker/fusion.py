"""Fuse first-stage scores and crossing scores into one order.

Every fusion takes and returns (num_hits,) float64 arrays, higher is better, hits in first-stage order.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from reranker.arrays import Floats64
from reranker.errors import ScoresError

Fusion = Callable[[Floats64, Floats64], Floats64]

MAX_WEIGHT = 40.0
"""Largest fusion weight: a first-stage score times exp(40 * (1 + 1)) still fits OpenSearch's float32."""

MAX_FEEDBACK = 2.0
"""Largest weight of the similarity to the feedback documents, beside a crossing score."""

DEFAULT_SHARE = 0.9
"""The crossing's share in `weighted` if none is set: the best single one of six collections."""


METHODS = ("log_linear", "weighted", "rrf", "none")
"""Every fusion method by its name in the settings."""


def choose_fusion(method: str, weight: float | None, rank_constant: int) -> Fusion:
    """Return one of METHODS.

    `weight` is needed by `log_linear` alone; `weighted` has a default share, and the others have no weight.

    Raises:
        ValueError: `log_linear` without a weight.
    """
    if method == "weighted":
        return partial(weighted, share=DEFAULT_SHARE if weight is None else weight)
    if method == "rrf":
        return partial(rrf, rank_constant=rank_constant)
    if method == "none":
        return replacement
    if weight is None:
        raise ValueError("expected a weight for log_linear, found none")
    return partial(log_linear, weight=weight)


def log_linear(first_stage: Floats64, crossing: Floats64, weight: float) -> Floats64:
    """Return log(first_stage) + weight * crossing: the logarithm of first_stage * exp(weight * crossing).

    It needs no statistics of the window, so a hit's value depends on that hit alone. If every first-stage
    score is 0 (a filter without scores), the crossing decides alone; a single 0 among others stays last, as
    its product does.

    Raises:
        ScoresError: a first-stage score is negative or not finite.
    """
    if not np.isfinite(first_stage).all() or (first_stage < 0).any():
        raise ScoresError(
            "expected finite first-stage scores of at least 0,"
            f" found {first_stage.min()} to {first_stage.max()}"
        )
    if not first_stage.any():
        return weight * crossing
    with np.errstate(divide="ignore"):  # log(0) is -inf, which is the order that a product of 0 has
        return np.log(first_stage) + weight * crossing


def weighted(first_stage: Floats64, crossing: Floats64, share: float) -> Floats64:
    """Return (1 - share) * scaled(first_stage) + share * scaled(crossing), both min-max over the window.

    Raises:
        ScoresError: a first-stage score is not finite.
    """
    if not np.isfinite(first_stage).all():
        raise ScoresError("expected finite first-stage scores, found others")
    return (1 - share) * _scale(first_stage) + share * _scale(crossing)


def rrf(first_stage: Floats64, crossing: Floats64, rank_constant: int) -> Floats64:
    """Return the reciprocal rank fusion of both orders: the sum of 1 / (rank_constant + rank), ranks from 1.

    The first stage's rank is a hit's position; hits with equal crossing scores share the best of their ranks.
    Source: Cormack, Clarke and Buettcher, SIGIR 2009.
    """
    by_position = np.arange(1, len(first_stage) + 1)
    higher = np.searchsorted(np.sort(-crossing), -crossing, side="left")
    return 1 / (rank_constant + by_position) + 1 / (rank_constant + 1 + higher)


def replacement(first_stage: Floats64, crossing: Floats64) -> Floats64:
    """Return the crossing scores alone: the method `none`, for comparison."""
    return crossing


def _scale(values: Floats64) -> Floats64:
    """Scale to 0 to 1; equal values all become 0."""
    if not len(values):
        return values
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)

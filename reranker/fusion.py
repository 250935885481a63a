"""How first-stage scores and crossing scores become one order."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from reranker.errors import ScoresError

Floats64 = npt.NDArray[np.float64]
Fusion = Callable[[Floats64, Floats64, float], Floats64]

MAX_WEIGHT = 40.0
"""Largest fusion weight: a first-stage score times exp(40 * (1 + 1)) still fits OpenSearch's float32."""


def log_linear(first_stage: Floats64, crossing: Floats64, weight: float) -> Floats64:
    """Return log(first_stage) + weight * crossing: the logarithm of first_stage * exp(weight * crossing).

    All arrays are (num_hits,) float64, higher is better. It needs no statistics of the window, so a hit's
    value depends on that hit alone. Where every first-stage score is 0 (a filter without scores) the
    crossing decides alone; a single 0 among others stays last, as its product does.

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


def replacement(first_stage: Floats64, crossing: Floats64, weight: float) -> Floats64:
    """Return the crossing scores alone: the method `none`, for comparison. (num_hits,) float64."""
    return crossing


FUSIONS: dict[str, Fusion] = {"log_linear": log_linear, "none": replacement}
"""Every fusion method by its name in the settings."""

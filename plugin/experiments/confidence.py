"""Confidence sequences: intervals that may be looked at as often as one likes.

A 95 % interval of the usual kind holds for one look at a size that was fixed before. Whoever looks every day
and stops at the first success finds "winners" among equal arms in far more than 5 % of experiments. The
interval here holds at all looks together: with 95 % confidence it never excludes the true value.

I. Waudby-Smith, D. Arbour, R. Sinha, E. Kennedy, A. Ramdas: Time-uniform central limit theory and asymptotic
confidence sequences. Annals of Statistics 52, 2024 (equation 9 there, with the mixture's width chosen for
TIGHT_AT units).
"""

import math
from dataclasses import dataclass

import numpy as np

from reranker.arrays import Floats64

ALPHA = 0.05
TIGHT_AT = 1_000
"""The number of units for which the interval is narrowest, compared with one of the usual kind."""

MIN_UNITS = 100
"""Fewer units say nothing: the interval rests on the central limit theorem."""

_WIDEST = 2
"""From one end of the preferences to the other."""

MOST_UNITS = 10**9
"""If even so many would not decide, nothing is foretold."""


@dataclass(frozen=True)
class Estimate:
    """A mean, or a difference of means, over units.

    `low` and `high` bound it at all looks together. `variance` is that of one unit, `num_units` their number.
    """

    mean: float
    low: float
    high: float
    variance: float
    num_units: int

    @property
    def sign(self) -> int:
        """1 or -1 if the interval excludes 0, else 0."""
        return int(self.low > 0) - int(self.high < 0)


def estimate_preference(values: Floats64, alpha: float = ALPHA) -> Estimate | None:
    """Return the mean of (num_units,) preferences from -1 to 1; None if they are too few.

    Their variance is at least that of units of which one alone prefers the other arm: units that all agree
    are no proof that the next one does.
    """
    if len(values) < MIN_UNITS:
        return None
    variance = max(float(values.var(ddof=1)), _WIDEST**2 / len(values))
    return _build(float(values.mean()), variance, len(values), alpha)


def estimate_difference(control: Floats64, treatment: Floats64, alpha: float = ALPHA) -> Estimate | None:
    """Return the treatment's mean minus the control's, of (num_units,) values each.

    None if one arm has fewer than half of MIN_UNITS, or if all values of each arm are equal.
    """
    arms = control, treatment
    if min(map(len, arms)) < MIN_UNITS / 2:
        return None
    num_units = len(control) + len(treatment)
    variance = num_units * sum(float(arm.var(ddof=1)) / len(arm) for arm in arms)
    return _build(float(treatment.mean() - control.mean()), variance, num_units, alpha)


def find_units_needed(estimate: Estimate, alpha: float = ALPHA) -> int | None:
    """Return how many units would exclude 0 if the mean and the variance stay; None if there is no end."""
    wanted = abs(estimate.mean)
    if not wanted or compute_half_width(estimate.variance, MOST_UNITS, alpha) >= wanted:
        return None
    low, high = MIN_UNITS, MOST_UNITS
    while low < high:
        middle = (low + high) // 2
        if compute_half_width(estimate.variance, middle, alpha) < wanted:
            high = middle
        else:
            low = middle + 1
    return low


def compute_half_width(variance: float, num_units: int, alpha: float = ALPHA) -> float:
    """Return half the width of the interval; it falls with the number of units."""
    spread = -2 * math.log(alpha)
    mixture = num_units * (spread + math.log(spread + 1)) / TIGHT_AT
    factor = 2 * (mixture + 1) / mixture * math.log(math.sqrt(mixture + 1) / alpha)
    return math.sqrt(variance * factor / num_units)


def _build(mean: float, variance: float, num_units: int, alpha: float) -> Estimate | None:
    if not variance or not np.isfinite(variance):
        return None
    half = compute_half_width(variance, num_units, alpha)
    return Estimate(mean, mean - half, mean + half, variance, num_units)

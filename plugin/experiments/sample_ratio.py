"""Sample ratio mismatch: whether arms have as many units as their chances say (chi-squared test).

If they do not, something is lost in one arm more than in the other, and no comparison of them holds.
"""

import math
from collections.abc import Sequence

MISMATCH = 0.001
"""A smaller p is a mismatch. It is this small because the test is looked at again and again."""

_FEWEST_EXPECTED = 5


def compute_equality(counts: Sequence[int]) -> float | None:
    """Return p of the hypothesis that all arms have the same chance; None for too few units to say."""
    expected = sum(counts) / max(1, len(counts))
    if len(counts) < 2 or expected < _FEWEST_EXPECTED:
        return None
    statistic = sum((count - expected) ** 2 for count in counts) / expected
    return compute_chi_squared_tail(statistic, len(counts) - 1)


def compute_chi_squared_tail(statistic: float, degrees: int) -> float:
    """Return the chance of a chi-squared value above `statistic`, for whole degrees of freedom from 1."""
    half = statistic / 2
    if degrees % 2 == 0:
        return math.exp(-half) * sum((half**n / math.factorial(n) for n in range(degrees // 2)), 0.0)
    steps = range(1, (degrees - 1) // 2 + 1)
    terms = (math.pow(half, n - 0.5) / math.gamma(n + 0.5) for n in steps)
    return math.erfc(math.sqrt(half)) + math.exp(-half) * sum(terms, 0.0)

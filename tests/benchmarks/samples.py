"""Measured milliseconds and what may be said of them."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from reranker.arrays import Floats64

_RESAMPLES = 2000


@dataclass(frozen=True)
class Figure:
    """One line of the report: what was measured, the value, its spread, and the budget where there is one.

    `low` and `high` bound the middle half of single measurements, or, for a difference, its median at 95 %
    confidence. With `is_interval_judged`, a budget is missed only if the whole interval misses it.
    """

    name: str
    value: float
    low: float
    high: float
    unit: str
    budget: float | None = None
    at_least: bool = False
    is_interval_judged: bool = False

    @property
    def within(self) -> bool | None:
        """Whether the budget is kept; None where there is none."""
        if self.budget is None:
            return None
        if self.at_least:
            return (self.high if self.is_interval_judged else self.value) >= self.budget
        return (self.low if self.is_interval_judged else self.value) <= self.budget


def timed_ms(action: Callable[[], object], count: int, *, warm_up: int = 3) -> Floats64:
    """Run an action `count` times after a warm-up: -> (count,) milliseconds."""
    for _ in range(warm_up):
        action()
    durations = np.empty(count)
    for i in range(count):
        begin = perf_counter()
        action()
        durations[i] = (perf_counter() - begin) * 1000
    return durations


def median(name: str, durations_ms: Floats64, budget_ms: float | None = None) -> Figure:
    """Return the median of (count,) milliseconds and the quartiles around it."""
    low, middle, high = np.percentile(durations_ms, [25, 50, 75])
    return Figure(name, float(middle), float(low), float(high), "ms", budget_ms)


def percentile_difference(
    name: str, straight_ms: Floats64, proxied_ms: Floats64, percent: float, budget_ms: float | None = None
) -> Figure:
    """Return percentile of `proxied_ms` minus percentile of `straight_ms`, with its bootstrap interval.

    Both are (rounds,) of the same rounds; whole rounds are drawn again, so that what slowed a round down
    slows both of its halves down.
    """
    random = np.random.default_rng(0)
    rounds = random.integers(0, len(straight_ms), (_RESAMPLES, len(straight_ms)))

    def gap(straight: Floats64, proxied: Floats64, axis: int) -> Floats64:
        difference: Floats64 = np.percentile(proxied, percent, axis) - np.percentile(straight, percent, axis)
        return difference

    low, high = np.percentile(gap(straight_ms[rounds], proxied_ms[rounds], 1), [2.5, 97.5])
    value = float(gap(straight_ms, proxied_ms, 0))
    return Figure(name, value, float(low), float(high), "ms", budget_ms)


def added_ratio(name: str, first: tuple[Floats64, Floats64], second: tuple[Floats64, Floats64]) -> Figure:
    """Return how much more the proxy adds in the second place than in the first: 1 is no more.

    Each is (rounds,) milliseconds straight and through the proxy, all of the same rounds. The interval is the
    bootstrap's over whole rounds, as in `percentile_difference`.
    """
    sides = np.stack([*first, *second])
    rounds = sides.shape[1]
    drawn = sides[:, np.random.default_rng(0).integers(0, rounds, (_RESAMPLES, rounds))]

    def ratio(values: Floats64) -> Floats64:
        first_straight, first_proxied, second_straight, second_proxied = np.median(values, axis=-1)
        found: Floats64 = (second_proxied - second_straight) / (first_proxied - first_straight)
        return found

    low, high = np.percentile(ratio(drawn), [2.5, 97.5])
    return Figure(name, float(ratio(sides)), float(low), float(high), "times")


def bound_ratio(base_ms: Floats64, other_ms: Floats64) -> tuple[float, float]:
    """Return the 95 % interval of `other_ms`'s median divided by `base_ms`'s.

    Both are (rounds,) of the same rounds. The interval is the bootstrap's over whole rounds, as in
    `percentile_difference`.
    """
    rounds = np.random.default_rng(0).integers(0, len(base_ms), (_RESAMPLES, len(base_ms)))
    ratios = np.median(other_ms[rounds], axis=1) / np.median(base_ms[rounds], axis=1)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(low), float(high)

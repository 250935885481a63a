"""Confidence sequences: how wide, how honest when looked at often, and how far away a decision is."""

import numpy as np
import pytest
from scipy.stats import norm

from plugin.experiments.confidence import (
    ALPHA,
    MIN_UNITS,
    compute_half_width,
    estimate_difference,
    estimate_preference,
    find_units_needed,
)


def test_the_width_is_the_papers() -> None:
    """Equation 9 with rho as in its section B.2, worked out by hand for 1,000 units."""
    rho = np.sqrt((-2 * np.log(ALPHA) + np.log(-2 * np.log(ALPHA) + 1)) / 1_000)
    n = 1_000
    by_hand = np.sqrt(2 * (n * rho**2 + 1) / (n**2 * rho**2) * np.log(np.sqrt(n * rho**2 + 1) / ALPHA))
    assert compute_half_width(1.0, n) == pytest.approx(by_hand)
    assert compute_half_width(4.0, n) == pytest.approx(2 * by_hand)


@pytest.mark.parametrize("num_units", [100, 1_000, 10_000, 1_000_000])
def test_it_is_wider_than_an_interval_for_one_look_but_not_twice(num_units: int) -> None:
    once = norm.ppf(1 - ALPHA / 2) / np.sqrt(num_units)
    assert once < compute_half_width(1.0, num_units) < 2.3 * once


def test_looking_at_every_unit_finds_nothing_more_often_than_promised(is_long: bool) -> None:
    """Means of nothing, looked at after each unit; an interval of the usual kind errs in half of them."""
    chance, num_runs = np.random.default_rng(7), 2_000 if is_long else 300
    values = chance.choice([-1.0, 0.0, 1.0], size=(num_runs, 2_000))
    sizes = np.arange(1, 2_001)
    means = values.cumsum(axis=1) / sizes
    spread = np.sqrt((values**2).cumsum(axis=1) / sizes - means**2)
    widths = np.array([compute_half_width(1.0, n) for n in sizes.tolist()])
    looks = slice(MIN_UNITS - 1, None)
    alarms = (np.abs(means) > spread * widths)[:, looks].any(axis=1).mean()
    usual = (np.abs(means) > spread * 1.96 / np.sqrt(sizes))[:, looks].any(axis=1).mean()
    assert alarms <= ALPHA < 0.2 < usual


def test_few_or_equal_values_have_no_estimate() -> None:
    chance = np.random.default_rng(1)
    assert estimate_preference(chance.normal(size=MIN_UNITS - 1)) is None
    assert estimate_difference(chance.normal(size=1_000), chance.normal(size=MIN_UNITS // 2 - 1)) is None
    assert estimate_difference(np.ones(1_000), np.zeros(1_000)) is None


def test_units_that_all_agree_are_nearly_certain() -> None:
    found = estimate_preference(np.ones(MIN_UNITS))
    assert found is not None
    assert 0.9 < found.low < 1 == found.mean


def test_a_difference_is_that_of_the_means() -> None:
    chance = np.random.default_rng(2)
    control, treatment = chance.normal(0, 1, 4_000), chance.normal(0.3, 1, 1_000)
    found = estimate_difference(control, treatment)
    assert found is not None
    assert found.mean == pytest.approx(treatment.mean() - control.mean())
    assert found.low < 0.3 < found.high
    assert found.sign == 1
    assert found.num_units == 5_000
    mirrored = estimate_difference(treatment, control)
    assert mirrored is not None
    assert mirrored.sign == -1
    assert mirrored.low == pytest.approx(-found.high)


def test_the_units_that_are_needed_are_just_enough() -> None:
    found = estimate_preference(np.random.default_rng(3).normal(0.02, 1, 500))
    assert found is not None
    assert found.sign == 0
    needed = find_units_needed(found)
    assert needed is not None
    assert compute_half_width(found.variance, needed) < abs(found.mean)
    assert compute_half_width(found.variance, needed - 1) >= abs(found.mean)


def test_no_difference_at_all_needs_no_number() -> None:
    found = estimate_preference(np.tile([-1.0, 1.0], 100))
    assert found is not None
    assert find_units_needed(found) is None

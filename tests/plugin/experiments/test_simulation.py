"""Simulated experiments: the better arm is found, and among equals no winner is, however often one looks."""

import pytest

from opensearch.settings.experiment import ExperimentMode
from tests.support.experiments.simulated_users import Population

EQUAL = (0.7, 0.7)
NUM_SHORT, MOST_SHORT = 200, 17
"""17 of 200 is the 99 % bound of a true 5 %."""
NUM_LONG, MOST_LONG = 2_000, 100


def count_alarms(mode: ExperimentMode, number: int, num_units: int) -> int:
    """Return in how many experiments with equal arms any of the looks names a winner."""
    populations = (Population(seed, EQUAL, num_units=num_units) for seed in range(number))
    verdicts = ([report.comparisons[0].verdict for report in each.run(mode)] for each in populations)
    return sum(bool({"treatment", "control"} & set(found)) for found in verdicts)


@pytest.mark.parametrize(("mode", "num_units"), [("interleave", 160), ("split", 240)])
def test_among_equals_no_winner_is_found(mode: ExperimentMode, num_units: int, is_long: bool) -> None:
    number, most = (NUM_LONG, MOST_LONG) if is_long else (NUM_SHORT, MOST_SHORT)
    assert count_alarms(mode, number, num_units) <= most


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("mode", "num_units"), [("interleave", 1_000), ("split", 6_000)])
def test_the_better_arm_is_found(mode: ExperimentMode, num_units: int, seed: int) -> None:
    better = Population(seed, (3.0, 0.1), num_units=num_units).run(mode, looks=1)[0]
    worse = Population(seed, (0.1, 3.0), num_units=num_units).run(mode, looks=1)[0]
    assert [each.comparisons[0].verdict for each in (better, worse)] == ["treatment", "control"]
    assert not better.is_mismatched
    assert better.clicks.without_impression == better.clicks.not_shown == better.crossed_units == 0


def test_too_few_users_and_a_small_difference_are_told_apart() -> None:
    few = Population(1, (3.0, 0.1), num_units=40).run("interleave", looks=1)[0].comparisons[0]
    assert (few.verdict, few.estimate) == ("too_few", None)
    small = Population(1, (0.8, 0.7), num_units=400).run("interleave", looks=1)[0].comparisons[0]
    assert small.verdict == "open"
    assert small.units_missing is not None
    assert small.clicks_missing is not None
    assert small.units_missing > 400
    assert small.clicks_missing > 0

"""Sample ratio mismatch: the test is scipy's, and says what it should of even and uneven splits."""

import pytest
from scipy.stats import chi2, chisquare

from plugin.experiments.sample_ratio import MISMATCH, compute_chi_squared_tail, compute_equality


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("statistic", [0.0, 0.5, 3.84, 20.0])
def test_the_tail_is_scipys(statistic: float, degrees: int) -> None:
    assert compute_chi_squared_tail(statistic, degrees) == pytest.approx(chi2.sf(statistic, degrees))


@pytest.mark.parametrize("counts", [(500, 500), (480, 520), (300, 310, 320)])
def test_chance_is_no_mismatch(counts: tuple[int, ...]) -> None:
    p = compute_equality(counts)
    assert p == pytest.approx(chisquare(counts).pvalue)
    assert p is not None
    assert p > MISMATCH


def test_an_uneven_split_is_one() -> None:
    p = compute_equality((5_000, 5_400))
    assert p is not None
    assert p < MISMATCH


def test_too_few_say_nothing() -> None:
    assert compute_equality(()) is None
    assert compute_equality((7,)) is None
    assert compute_equality((0, 9)) is None

"""Two orders of one window, compared; Kendall's tau is held to scipy's."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from plugin.experiments.attributes import decode_shadow, encode_shadow
from plugin.experiments.order_comparison import OrderComparison, compare_orders


def compare(first: list[int], second: list[int]) -> OrderComparison:
    return compare_orders(np.array(first, np.intp), np.array(second, np.intp))


def test_equal_and_opposite_orders() -> None:
    assert compare([0, 1, 2], [0, 1, 2]) == OrderComparison(1.0, 1.0, 0, 0.0)
    opposite = compare([0, 1, 2], [2, 1, 0])
    assert (opposite.overlap, opposite.tau, opposite.moved) == (1, -1, 2)
    assert opposite.mean_change == pytest.approx(4 / 3)
    assert compare([], []) == OrderComparison(1.0, 1.0, 0, 0.0)
    assert compare([0], [0]).tau == 1.0


def test_a_page_of_other_hits_has_no_overlap() -> None:
    found = compare(list(range(20)), [*range(10, 20), *range(10)])
    assert (found.overlap, found.moved, found.mean_change) == (0.0, 10, 10.0)


@pytest.mark.parametrize("seed", range(5))
def test_tau_is_scipys(seed: int) -> None:
    chance = np.random.default_rng(seed)
    first, second = chance.permutation(100), chance.permutation(100)
    ranks = [np.argsort(order) for order in (first, second)]
    assert compare_orders(first, second).tau == pytest.approx(kendalltau(*ranks).statistic)


def test_comparisons_are_recorded_and_read_again() -> None:
    found = {"own": compare([0, 1, 2], [2, 1, 0]), "same": compare([0, 1], [0, 1])}
    read = decode_shadow(encode_shadow(found))
    assert read["own"].tau == -1
    assert read["own"].mean_change == 1.33
    assert read["same"] == found["same"]
    assert decode_shadow("") == decode_shadow("no JSON") == decode_shadow('{"a": [1]}') == {}

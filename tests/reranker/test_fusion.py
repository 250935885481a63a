"""Fusion against its formula, and the scores for which it is not defined."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from reranker.arrays import Floats64
from reranker.errors import ScoresError
from reranker.fusion import (
    DEFAULT_SHARE,
    MAX_WEIGHT,
    METHODS,
    choose_fusion,
    log_linear,
    replacement,
    rrf,
    weighted,
)


def windows(low: float, high: float) -> st.SearchStrategy[tuple[Floats64, Floats64]]:
    sizes = st.integers(1, 30)
    return sizes.flatmap(
        lambda n: st.tuples(
            npst.arrays(np.float64, n, elements=st.floats(low, high)),
            npst.arrays(np.float64, n, elements=st.floats(-1, 1)),
        )
    )


@given(windows(1e-3, 1e4), st.floats(0, MAX_WEIGHT))
def test_log_linear_is_the_logarithm_of_the_formula(window: tuple[Floats64, Floats64], weight: float) -> None:
    first_stage, crossing = window
    product = first_stage * np.exp(weight * crossing)
    assert np.allclose(np.exp(log_linear(first_stage, crossing, weight)), product, rtol=1e-12)


@given(windows(1e-3, 1e4))
def test_weight_0_leaves_the_first_stage_order(window: tuple[Floats64, Floats64]) -> None:
    first_stage, crossing = window
    fused = log_linear(first_stage, crossing, 0.0)
    assert (np.diff(fused[np.argsort(first_stage)]) >= 0).all()


@given(windows(0, 0), st.floats(0, MAX_WEIGHT))
def test_without_first_stage_scores_the_crossing_decides(
    window: tuple[Floats64, Floats64], weight: float
) -> None:
    zeros, crossing = window
    assert np.array_equal(log_linear(zeros, crossing, weight), weight * crossing)


def test_a_single_zero_stays_last() -> None:
    fused = log_linear(np.array([0.0, 1e-300, 5.0]), np.array([1.0, -1.0, -1.0]), MAX_WEIGHT)
    assert fused[0] == -np.inf
    assert np.isfinite(fused[1:]).all()


def test_a_hit_has_the_same_value_in_any_window() -> None:
    alone = log_linear(np.array([3.0]), np.array([0.5]), 10.0)
    among = log_linear(np.array([9.0, 3.0, 1.0]), np.array([0.1, 0.5, 0.9]), 10.0)
    assert alone[0] == among[1]


@pytest.mark.parametrize("wrong", [-1e-9, -np.inf, np.inf, np.nan])
def test_scores_without_a_logarithm_are_refused(wrong: float) -> None:
    with pytest.raises(ScoresError, match=r"^expected finite first-stage scores of at least 0, found "):
        log_linear(np.array([1.0, wrong, 2.0]), np.zeros(3), 1.0)


def test_the_extremes_of_a_float_and_the_largest_weight_stay_finite() -> None:
    smallest, largest = float(np.finfo(np.float32).smallest_subnormal), float(np.finfo(np.float32).max)
    first_stage = np.array([smallest, largest, 5e-324])
    assert np.isfinite(log_linear(first_stage, np.array([-1.0, 1.0, -1.0]), MAX_WEIGHT)).all()


def test_the_largest_weight_keeps_the_product_a_float32() -> None:
    """OpenSearch computes the factor exp(w * (1 + c)) itself, and its scores are float32."""
    assert 1000 * np.exp(MAX_WEIGHT * 2) < np.finfo(np.float32).max


def test_an_empty_window_stays_empty() -> None:
    for method in METHODS:
        assert choose_fusion(method, 1.0, 60)(np.empty(0), np.empty(0)).shape == (0,)


def test_replacement_is_the_crossing_alone() -> None:
    crossing = np.array([0.1, 0.9])
    assert np.array_equal(replacement(np.array([5.0, -1.0]), crossing), crossing)


@given(windows(-10, 1e4), st.floats(0, 1))
def test_weighted_is_the_sum_of_both_scaled_to_0_to_1(
    window: tuple[Floats64, Floats64], share: float
) -> None:
    def scaled(values: Floats64) -> Floats64:
        width = values.max() - values.min()
        return (values - values.min()) / width if width > 0 else np.zeros_like(values)

    first_stage, crossing = window
    expected = (1 - share) * scaled(first_stage) + share * scaled(crossing)
    assert np.allclose(weighted(first_stage, crossing, share), expected)


@pytest.mark.parametrize("wrong", [np.inf, np.nan])
def test_weighted_refuses_what_has_no_scale(wrong: float) -> None:
    with pytest.raises(ScoresError, match="expected finite first-stage scores"):
        weighted(np.array([1.0, wrong]), np.zeros(2), 0.5)


def test_rrf_adds_the_reciprocal_ranks_and_equal_crossings_share_one() -> None:
    fused = rrf(np.array([9.0, 5.0, 1.0]), np.array([0.1, 0.7, 0.7]), 60)
    assert np.allclose(fused, [1 / 61 + 1 / 63, 1 / 62 + 1 / 61, 1 / 63 + 1 / 61])


def test_log_linear_needs_a_weight_and_the_others_have_their_own() -> None:
    first_stage, crossing = np.array([4.0, 2.0, 1.0]), np.array([0.1, 0.5, 0.2])
    for method, expected in {
        "log_linear": log_linear(first_stage, crossing, 7.0),
        "weighted": weighted(first_stage, crossing, DEFAULT_SHARE),
        "rrf": rrf(first_stage, crossing, 20),
        "none": crossing,
    }.items():
        fuse = choose_fusion(method, 7.0 if method == "log_linear" else None, 20)
        assert np.array_equal(fuse(first_stage, crossing), expected), method
    with pytest.raises(ValueError, match="expected a weight"):
        choose_fusion("log_linear", None, 20)

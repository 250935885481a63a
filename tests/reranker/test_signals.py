"""Signals: what a value of a document's own field makes of its score."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.rerank import rank
from reranker.signals import KINDS, Signal, apply_signals, log_factors, squash
from tests.support.indices.stored_vectors import log_linear

NAN = math.nan


def squashed(
    kind: str, scale: float, *values: float, origin: float = 0.0, missing: float = 0.5
) -> list[float]:
    found: list[float] = squash(Signal(kind, 1.0, missing, scale, origin), np.array(values)).tolist()
    return found


def test_log1p_is_1_from_its_scale_on() -> None:
    half = math.sqrt(101) - 1
    assert squashed("log1p", 100, -3, 0, half, 100, 1e300) == pytest.approx([0, 0, 0.5, 1, 1])


def test_saturation_is_one_half_at_its_pivot() -> None:
    assert squashed("saturation", 4, -3, 0, 4, 12, 1.7e308) == pytest.approx([0, 0, 0.5, 0.75, 1])


def test_decay_halves_with_each_scale_on_both_sides() -> None:
    assert squashed("decay", 10, 5, 15, -5, 25, 1e308, origin=5) == pytest.approx([1, 0.5, 0.5, 0.25, 0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_value_is_what_the_signal_says(kind: str) -> None:
    assert squashed(kind, 3, NAN, missing=0.2) == [0.2]


numbers = st.floats(allow_nan=True, allow_infinity=False)
signals = st.builds(
    Signal,
    kind=st.sampled_from(KINDS),
    weight=st.floats(-10, 10),
    missing=st.floats(0, 1),
    scale=st.floats(1e-9, 1e18),
    origin=st.floats(-1e18, 1e18),
)


@given(signals, st.lists(numbers, min_size=1, max_size=20))
def test_a_factor_is_at_least_1_and_never_more_than_its_weight_allows(
    signal: Signal, values: list[float]
) -> None:
    found = log_factors(signal, np.array(values))
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert (found <= abs(signal.weight)).all()


@given(signals, st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=20).map(sorted))
def test_a_larger_value_counts_more_and_with_a_negative_weight_less(
    signal: Signal, values: list[float]
) -> None:
    if signal.kind == "decay":
        return
    steps = np.diff(log_factors(signal, np.array(values)))
    assert (steps * math.copysign(1, signal.weight) >= -1e-12).all()


FIRST_STAGE, CROSSING = np.array([4.0, 3.0, 2.0, 1.0]), np.array([0.1, 0.2, 0.1, NAN], np.float32)
POPULAR = Signal("saturation", 3.0, 0.5, 10.0)
RECENT = Signal("decay", -2.0, 0.0, 1.0)
VALUES = [np.array([0.0, 1.0, 1000.0, NAN]), np.array([0.0, NAN, 5.0, 5.0])]


def test_factors_are_multiplied_with_the_fused_score() -> None:
    before = rank(FIRST_STAGE, CROSSING, log_linear(2.0))
    found = apply_signals(before, [POPULAR, RECENT], VALUES, is_logarithm=True)
    assert found.signals is not None
    popular = 3 * np.array([0, 1 / 11, 1000 / 1010, 0.5])
    recent = 2 * (1 - np.array([1, 0, 1 / 32, 1 / 32]))
    np.testing.assert_allclose(found.signals, [popular, recent])
    np.testing.assert_allclose(found.fused, before.fused + popular + recent)
    assert found.order.tolist() == np.argsort(-found.fused, kind="stable").tolist() == [2, 1, 3, 0]
    assert found.crossing is before.crossing, "the probability is still that of query and document"


def test_values_that_are_no_logarithms_are_multiplied() -> None:
    before = rank(FIRST_STAGE, CROSSING, lambda first_stage, _: first_stage)
    found = apply_signals(before, [POPULAR], VALUES[:1], is_logarithm=False)
    factors = np.exp(3 * np.array([0, 1 / 11, 1000 / 1010, 0.5]))
    np.testing.assert_allclose(found.fused, FIRST_STAGE * factors)


def test_a_hit_that_cannot_be_relevant_stays_last_and_ties_keep_their_order() -> None:
    first_stage, crossing = np.array([0.0, 1.0, 1.0]), np.array([1.0, 0.0, 0.0], np.float32)
    before = rank(first_stage, crossing, log_linear(2.0))
    found = apply_signals(before, [POPULAR], [np.array([1e9, 1.0, 1.0])], is_logarithm=True)
    assert found.order.tolist() == [1, 2, 0]

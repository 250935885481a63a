"""Integer queries: how near they are, and that no integer sum overflows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reranker.integer_query import IntegerQuery, quantise_query, round_query


def restored(quantised: IntegerQuery) -> np.ndarray:
    return np.frombuffer(quantised.values, "<i2") * quantised.scale


@given(arrays(np.float32, st.integers(1, 40), elements=st.floats(-1e6, 1e6, width=32)))
def test_values_are_kept_within_half_a_scale(query: np.ndarray) -> None:
    quantised = quantise_query(query)
    assert np.abs(restored(quantised) - query).max() <= quantised.scale * 0.5000001


@pytest.mark.parametrize("dim", [1, 384, 512, 513, 768, 1024, 65535])
def test_the_largest_sum_fits_32_bits(dim: int) -> None:
    integers = np.frombuffer(quantise_query(np.full(dim, -0.3, np.float32)).values, "<i2").astype(np.int64)
    assert 2**30 < np.abs(integers * -128).sum() < 2**31 or dim < 300


def test_a_cosine_of_384_dimensions_hardly_moves() -> None:
    random = np.random.default_rng(1)
    vectors = random.normal(size=(200, 384))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    moved = vectors @ vectors[0] - vectors @ restored(quantise_query(vectors[0].astype(np.float32)))
    assert np.abs(moved).max() < 1e-5


def test_a_zero_vector_stays_zero() -> None:
    assert not restored(quantise_query(np.zeros(4, np.float32))).any()


@given(arrays(np.float32, 40, elements=st.floats(-1, 1, width=32)))
def test_a_rounded_query_is_what_its_integers_say(query: np.ndarray) -> None:
    assert round_query(query) == pytest.approx(restored(quantise_query(query)), abs=1e-7)


def test_what_is_not_finite_is_not_rounded() -> None:
    query = np.array([np.nan, 1.0], np.float32)
    assert round_query(query) is query

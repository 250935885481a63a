"""Scoring a window of stored vectors, whatever is wrong with some of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.arrays import Floats
from reranker.errors import StoredVectorError
from reranker.stored_vector import ValueType, pack, unpack
from reranker.window_vectors import score_vectors
from tests.support.indices.stored_vectors import COSINE, DIM, QUERY, TAG, stored, unit_vectors


def damaged(packed: bytes, position: int, value: int) -> bytes:
    return packed[: position % len(packed)] + bytes([value]) + packed[position % len(packed) + 1 :]


def one_by_one(query: Floats, packed: bytes | None, tag: int = TAG) -> float:
    """Score one hit the plain way: read it, refuse what is foreign, take the best chunk."""
    if packed is None:
        return np.nan
    try:
        read = unpack(packed)
    except StoredVectorError:
        return np.nan
    if read.model_tag != tag or read.values.shape[1] != query.shape[0]:
        return np.nan
    return float(COSINE(query, read.values).max())


seeds = st.integers(1, 50)
kinds = st.sampled_from(list(ValueType))
whole = st.builds(stored, seeds, num_chunks=st.integers(1, 4), kind=kinds)
hits = st.one_of(
    whole,
    st.none(),
    st.builds(stored, seeds, tag=st.sampled_from([0, TAG + 1]), kind=kinds),
    st.builds(stored, seeds, num_chunks=st.integers(1, 3), dim=st.integers(1, 3 * DIM), kind=kinds),
    st.builds(damaged, whole, st.integers(0, 200), st.integers(0, 255)),
    st.builds(lambda packed, cut: packed[: cut % len(packed)], whole, st.integers(0, 200)),
    st.builds(lambda packed, tail: packed + tail, whole, st.binary(min_size=1, max_size=30)),
    st.binary(max_size=60),
)


@given(st.lists(hits, max_size=12))
def test_a_mixed_window_scores_as_its_hits_do_one_by_one(packed: list[bytes | None]) -> None:
    scores = score_vectors(QUERY, packed, COSINE, TAG)
    assert scores.dtype == np.float32
    expected = np.array([one_by_one(QUERY, hit) for hit in packed], np.float32)
    assert np.array_equal(scores, expected, equal_nan=True)


@pytest.mark.parametrize("kind", list(ValueType))
@pytest.mark.parametrize("num_chunks", [1, 3])
def test_every_truncation_extension_and_damaged_header_gives_nan(kind: ValueType, num_chunks: int) -> None:
    """The text's hash, bytes 8 to 15, is left out: a search does not read it."""
    good = stored(1, num_chunks=num_chunks, kind=kind)
    bad = [good[:length] for length in range(len(good))]
    bad += [good + bytes(extra) for extra in range(1, len(good) + 1)]
    bad += [
        damaged(good, at, value)
        for at in [*range(8), *range(16, 20)]
        for value in range(256)
        if value != good[at]
    ]
    scores = score_vectors(QUERY, [good, *bad, good], COSINE, TAG)
    assert np.isfinite(scores[[0, -1]]).all()
    assert np.isnan(scores[1:-1]).all()


@pytest.mark.parametrize("scale", [np.nan, np.inf, -np.inf, 3e38, -3e38, -1.0, 517.0])
def test_an_impossible_scale_costs_that_hit_alone(scale: float) -> None:
    good = stored(1)
    bad = good[:20] + np.array([scale], "<f4").tobytes() + good[24:]
    scores = score_vectors(QUERY, [good, bad, good], COSINE, TAG)
    assert np.isnan(scores[1])
    assert scores[0] == scores[2] == one_by_one(QUERY, good)


def test_one_bad_chunk_makes_the_document_unusable() -> None:
    good = stored(1, num_chunks=2)
    bad = good[:24] + np.array([np.inf], "<f4").tobytes() + good[28:]
    assert np.isnan(score_vectors(QUERY, [bad], COSINE, TAG)).all()


@pytest.mark.parametrize("bits", [b"\x00\x7c", b"\x00\xfe", b"\x01\x7c"])
def test_infinite_and_nan_halves_cost_that_hit_alone(bits: bytes) -> None:
    good = stored(1, kind=ValueType.FLOAT16)
    scores = score_vectors(QUERY, [good[:-2] + bits, good], COSINE, TAG)
    assert np.isnan(scores[0])
    assert np.isfinite(scores[1])


@pytest.mark.parametrize("kind", list(ValueType))
def test_the_largest_values_that_can_be_stored_score_without_a_warning(kind: ValueType) -> None:
    values = np.full((2, DIM), 65504.0, np.float32) * np.array([[1], [-1]], np.float32)
    packed = pack(values, text_hash=0, model_tag=TAG, value_type=kind)
    assert np.isfinite(score_vectors(QUERY, [packed], COSINE, TAG)).all()


@pytest.mark.parametrize("kind", list(ValueType))
def test_zero_vectors_score_0(kind: ValueType) -> None:
    packed = pack(np.zeros((1, DIM), np.float32), text_hash=0, model_tag=TAG, value_type=kind)
    assert score_vectors(QUERY, [packed], COSINE, TAG).tolist() == [0.0]


def test_a_query_vector_of_nan_scores_nothing_and_warns_of_nothing() -> None:
    assert np.isnan(score_vectors(np.full(DIM, np.nan, np.float32), [stored(1)], COSINE, TAG)).all()


def test_the_best_chunk_counts() -> None:
    values = np.stack([-QUERY, QUERY, np.zeros(DIM, np.float32)])
    packed = pack(values, text_hash=0, model_tag=TAG)
    assert score_vectors(QUERY, [packed], COSINE, TAG)[0] == pytest.approx(1.0, abs=0.01)


def test_a_window_without_hits_or_without_vectors() -> None:
    assert score_vectors(QUERY, [], COSINE, TAG).shape == (0,)
    assert np.isnan(score_vectors(QUERY, [None, None], COSINE, TAG)).all()


def test_the_quantised_score_is_near_that_of_the_original() -> None:
    query, documents = unit_vectors(1, 384, seed=1)[0], unit_vectors(100, 384, seed=2)
    for kind, limit in ((ValueType.INT8, 2e-3), (ValueType.FLOAT16, 2e-4)):
        packed = [pack(row[None], text_hash=0, model_tag=TAG, value_type=kind) for row in documents]
        scores = score_vectors(query, packed, COSINE, TAG)
        assert np.abs(scores - COSINE(query, documents)).max() < limit

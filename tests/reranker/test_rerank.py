"""Ordering a window, with feedback and smoothing and without."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.arrays import Floats64
from reranker.errors import ScoresError
from reranker.fusion import METHODS, choose_fusion, replacement
from reranker.rerank import apply_feedback, apply_smoothing, rank, rerank
from reranker.stored_vector import ValueType
from reranker.window_vectors import WindowVectors, score_vectors
from tests.support.indices.stored_vectors import COSINE, DIM, QUERY, TAG, log_linear, stored, unit_vectors

first_stages = st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.5, 8.0]), min_size=1, max_size=20).map(
    lambda scores: np.array(sorted(scores, reverse=True))
)
few_crossings = st.sampled_from([np.nan, -0.5, 0.1, 0.1, 0.7])


@given(first_stages, st.data(), st.sampled_from(METHODS))
def test_every_hit_appears_once_best_first_and_ties_keep_their_order(
    first_stage: Floats64, data: st.DataObject, method: str
) -> None:
    size = len(first_stage)
    crossing = np.array(data.draw(st.lists(few_crossings, min_size=size, max_size=size)), np.float32)
    ranking = rank(first_stage, crossing, choose_fusion(method, 10.0 if method == "log_linear" else None, 60))
    assert sorted(ranking.order) == list(range(size))
    assert ranking.num_scored == np.isfinite(crossing).sum()
    assert np.array_equal(ranking.crossing, crossing, equal_nan=True)
    for before, after in zip(ranking.order, ranking.order[1:], strict=False):
        assert (-ranking.fused[before], before) < (-ranking.fused[after], after)


def test_copies_of_a_document_keep_their_first_stage_order() -> None:
    """Of a document that is in the window 102 times, each time with the same first-stage score."""
    query = unit_vectors(1, 384, seed=1)[0]
    packed: list[bytes | None] = [stored(7, dim=384)] * 102
    packed[50] = stored(7, dim=384, num_chunks=1, kind=ValueType.FLOAT16)
    scores = score_vectors(query, packed, COSINE, TAG)
    copies = [
        position for position in rank(np.full(102, 3.0), scores, log_linear(40.0)).order if position != 50
    ]
    assert copies == sorted(copies)


def test_a_hit_without_a_vector_keeps_the_place_its_score_earns() -> None:
    first_stage = np.array([9.0, 5.0, 4.0, 3.0])
    crossing = np.array([0.2, np.nan, 0.4, 0.6], np.float32)
    ranking = rank(first_stage, crossing, log_linear(10.0))
    neutral = rank(first_stage, np.array([0.2, 0.4, 0.4, 0.6], np.float32), log_linear(10.0))
    assert ranking.order.tolist() == neutral.order.tolist() == [3, 1, 2, 0]
    assert ranking.num_scored == 3
    assert np.isnan(ranking.crossing[1])
    assert ranking.fused[1] == pytest.approx(np.log(5.0) + 10.0 * 0.4)


def test_without_any_vector_the_first_stage_order_stays() -> None:
    ranking = rank(np.array([3.0, 2.0, 2.0, 1.0]), np.full(4, np.nan, np.float32), log_linear(10.0))
    assert ranking.order.tolist() == [0, 1, 2, 3]
    assert ranking.num_scored == 0


def test_without_first_stage_scores_the_crossing_orders() -> None:
    ranking = rank(np.zeros(3), np.array([0.1, 0.9, np.nan], np.float32), log_linear(10.0))
    assert ranking.order.tolist() == [1, 2, 0]


def test_a_first_stage_score_of_0_stays_last() -> None:
    ranking = rank(np.array([2.0, 0.0, 0.0]), np.array([-1.0, 0.5, 1.0], np.float32), log_linear(40.0))
    assert ranking.order.tolist() == [0, 1, 2]


def test_an_empty_window_is_ranked() -> None:
    ranking = rank(np.empty(0), np.empty(0, np.float32), log_linear(10.0))
    assert ranking.order.shape == ranking.fused.shape == (0,)


def test_the_method_none_orders_by_the_crossing() -> None:
    ranking = rank(np.array([3.0, -2.0]), np.array([0.1, 0.9], np.float32), replacement)
    assert ranking.order.tolist() == [1, 0]


def test_negative_first_stage_scores_are_refused() -> None:
    with pytest.raises(ScoresError, match="expected finite first-stage scores of at least 0, found -1"):
        rank(np.array([1.0, -1.0]), np.zeros(2, np.float32), log_linear(10.0))


@pytest.mark.parametrize("feedback", [0.0, 0.5])
@pytest.mark.parametrize("smoothing", [0.0, 0.6])
def test_a_window_is_scored_then_moved_by_feedback_then_smoothed(feedback: float, smoothing: float) -> None:
    packed: list[bytes | None] = [None, *(stored(seed, num_chunks=1 + seed % 2) for seed in range(1, 15))]
    first_stage, fuse = np.linspace(9.0, 2.0, len(packed)), log_linear(4.0)
    found = rerank(
        first_stage,
        fuse,
        query=QUERY,
        packed=packed,
        crossing=COSINE,
        model_tag=TAG,
        feedback=feedback,
        smoothing=smoothing,
    )
    vectors = WindowVectors(packed, dim=DIM, model_tag=TAG)
    expected = rank(first_stage, score_vectors(QUERY, packed, COSINE, TAG), fuse)
    if feedback:
        expected = apply_feedback(
            expected, first_stage, fuse, query=QUERY, vectors=vectors, crossing=COSINE, weight=feedback
        )
    if smoothing:
        expected = apply_smoothing(expected, query=QUERY, vectors=vectors, crossing=COSINE, share=smoothing)
    assert found.order.tolist() == expected.order.tolist()
    np.testing.assert_array_equal(found.fused, expected.fused)
    assert (found.similarity is not None, found.neighbours is not None) == (feedback > 0, smoothing > 0)
    assert found.num_scored == len(packed) - 1

"""Score smoothing: each hit takes a share of its nearest hits' scores."""

import numpy as np
import pytest

from reranker.rerank import Ranking, apply_smoothing, rank
from reranker.smoothing import DEEPEST, NEIGHBOURS
from reranker.stored_vector import HEADER, unpack
from reranker.window_vectors import WindowVectors, score_vectors
from tests.support.indices.stored_vectors import COSINE, QUERY, TAG, log_linear, stored

NUM_HITS = 15
FIRST_STAGE = np.linspace(9.0, 2.0, NUM_HITS)


def ranked(packed: list[bytes | None], first_stage: np.ndarray = FIRST_STAGE) -> Ranking:
    return rank(first_stage, score_vectors(QUERY, packed, COSINE, TAG), log_linear(4.0))


def after(packed: list[bytes | None], share: float, before: Ranking | None = None) -> Ranking:
    return apply_smoothing(
        before or ranked(packed),
        query=QUERY,
        vectors=WindowVectors(packed, dim=len(QUERY), model_tag=TAG),
        crossing=COSINE,
        share=share,
    )


def nearest_mean(vectors: np.ndarray, values: np.ndarray, place: int) -> float:
    cosines = vectors @ vectors[place]
    nearest = np.argsort(-cosines)[:NEIGHBOURS]
    return float(np.average(values[nearest], weights=np.exp(10 * cosines[nearest])))


def test_a_share_is_the_mean_of_the_nearest_hits() -> None:
    packed: list[bytes | None] = [stored(seed) for seed in range(1, NUM_HITS + 1)]
    before = ranked(packed)
    found = after(packed, 0.6, before)
    assert found.neighbours is not None
    vectors = np.concatenate([unpack(each or b"").values for each in packed])
    means = np.array([nearest_mean(vectors, before.fused, place) for place in range(NUM_HITS)])
    np.testing.assert_allclose(found.neighbours, means, rtol=1e-5)
    np.testing.assert_allclose(found.fused, 0.4 * before.fused + 0.6 * means, rtol=1e-5)
    assert found.order.tolist() == np.argsort(-found.fused, kind="stable").tolist()
    assert found.crossing is before.crossing, "the probability is still that of query and document"


def test_a_vector_of_a_damaged_scale_changes_no_other_hit() -> None:
    """It is longer than 1, so that its weights overflow; the hits near it keep their own values."""
    packed: list[bytes | None] = [stored(seed) for seed in range(1, NUM_HITS + 1)]
    good = packed[4] or b""
    packed[4] = good[: HEADER.size] + np.float32(500.0).tobytes() + good[HEADER.size + 4 :]
    before = ranked(packed)
    found = after(packed, 0.6, before)
    assert np.isfinite(found.fused).all()
    assert found.neighbours is not None
    alone = np.isnan(found.neighbours)
    assert alone[4]
    np.testing.assert_array_equal(found.fused[alone], before.fused[alone])


def test_a_share_of_0_changes_no_order() -> None:
    packed: list[bytes | None] = [stored(seed) for seed in range(1, NUM_HITS + 1)]
    assert after(packed, 0.0).order.tolist() == ranked(packed).order.tolist()


def test_two_of_the_same_document_come_together() -> None:
    """And a hit with a relevant copy rises above one without."""
    alone, pair = stored(1), stored(2)
    packed: list[bytes | None] = [pair, alone, pair]
    values = np.array([3.0, 1.1, 1.0])
    before = Ranking(np.arange(3), np.zeros(3, np.float32), values, 3)
    assert after(packed, 0.9, before).order.tolist() == [0, 2, 1]


def test_of_several_chunks_the_one_nearest_to_the_query_is_compared() -> None:
    packed: list[bytes | None] = [stored(seed, num_chunks=3) for seed in range(1, NUM_HITS + 1)]
    chunks = [unpack(each or b"").values for each in packed]
    vectors = np.stack([each[(each @ QUERY).argmax()] for each in chunks])
    means = np.array([nearest_mean(vectors, ranked(packed).fused, place) for place in range(NUM_HITS)])
    found = after(packed, 0.5).neighbours
    assert found is not None
    np.testing.assert_allclose(found, means, rtol=1e-5)


@pytest.mark.parametrize("broken", [None, b"", b"no vector"])
def test_a_hit_without_a_vector_keeps_its_value_and_is_nobodys_neighbour(broken: bytes | None) -> None:
    sound: list[bytes | None] = [stored(seed) for seed in range(1, NUM_HITS)]
    before = ranked([broken, *sound])
    found = after([broken, *sound], 0.6, before)
    assert found.neighbours is not None
    assert np.isnan(found.neighbours[0])
    assert found.fused[0] == before.fused[0]
    rest = Ranking(np.arange(NUM_HITS - 1), before.crossing[1:], before.fused[1:], NUM_HITS - 1)
    np.testing.assert_allclose(found.fused[1:], after(sound, 0.6, rest).fused)


def test_without_any_vector_nothing_changes() -> None:
    before = ranked([None] * NUM_HITS)
    found = after([None] * NUM_HITS, 0.6, before)
    assert found.order.tolist() == before.order.tolist()
    np.testing.assert_array_equal(found.fused, before.fused)


def test_hits_that_cannot_be_relevant_stay_last() -> None:
    """A first-stage score of 0 among others is a fused value of minus infinity, and stays one."""
    packed: list[bytes | None] = [stored(seed) for seed in range(1, 5)]
    before = ranked(packed, np.array([2.0, 1.0, 0.0, 0.0]))
    found = after(packed, 0.6, before)
    assert np.isfinite(found.fused[:2]).all()
    assert (found.fused[2:] == -np.inf).all()
    assert sorted(found.order[2:]) == [2, 3]


def test_an_empty_window_stays_empty() -> None:
    assert len(after([], 0.6, ranked([], np.array([]))).order) == 0


def test_a_window_of_one_hit_keeps_its_value() -> None:
    packed: list[bytes | None] = [stored(1)]
    before = ranked(packed, FIRST_STAGE[:1])
    np.testing.assert_allclose(after(packed, 0.6, before).fused, before.fused)


def test_hits_far_down_keep_their_values_and_cost_nothing() -> None:
    packed: list[bytes | None] = [stored(seed) for seed in range(1, DEEPEST + 50)]
    before = ranked(packed, np.linspace(9.0, 2.0, len(packed)))
    found = after(packed, 0.6, before)
    assert found.neighbours is not None
    best, rest = before.order[:DEEPEST], before.order[DEEPEST:]
    np.testing.assert_array_equal(found.fused[rest], before.fused[rest])
    assert np.isnan(found.neighbours[rest]).all()
    alone = Ranking(np.arange(DEEPEST), before.crossing[best], before.fused[best], DEEPEST)
    np.testing.assert_allclose(found.fused[best], after([packed[i] for i in best], 0.6, alone).fused)

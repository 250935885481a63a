"""Feedback documents: Rocchio's method on stored vectors."""

import numpy as np
import pytest

from reranker.crossing import Cosine
from reranker.feedback import FEEDBACK_DOCUMENTS
from reranker.rerank import Ranking, apply_feedback, rank
from reranker.stored_vector import unpack
from reranker.window_vectors import WindowVectors, score_vectors
from tests.support.indices.stored_vectors import COSINE, QUERY, TAG, log_linear, stored

NUM_HITS = 12
FIRST_STAGE = np.linspace(9.0, 2.0, NUM_HITS)
FUSION = log_linear(4.0)


def ranked(packed: list[bytes | None]) -> Ranking:
    return rank(FIRST_STAGE, score_vectors(QUERY, packed, COSINE, TAG), FUSION)


def with_feedback(packed: list[bytes | None], weight: float, before: Ranking | None = None) -> Ranking:
    return apply_feedback(
        before or ranked(packed), FIRST_STAGE, FUSION,
        query=QUERY, vectors=WindowVectors(packed, dim=len(QUERY), model_tag=TAG),
        crossing=COSINE, weight=weight,
    )  # fmt: skip


def test_it_is_the_crossing_with_a_moved_query() -> None:
    packed: list[bytes | None] = [stored(seed) for seed in range(1, NUM_HITS + 1)]
    before = ranked(packed)
    vectors = np.concatenate([unpack(each or b"").values for each in packed])
    best = before.order[:FEEDBACK_DOCUMENTS]
    shares = np.exp(before.fused[best]) / np.exp(before.fused[best]).sum()
    moved = QUERY + 0.7 * shares @ vectors[best]
    expected = np.log(FIRST_STAGE) + 4.0 * vectors @ moved
    after = with_feedback(packed, 0.7, before)
    np.testing.assert_allclose(after.fused, expected, rtol=1e-5)
    assert after.order.tolist() == np.argsort(-expected).tolist()
    assert after.crossing is before.crossing, "the probability is still that of query and document"


def test_a_weight_of_0_changes_no_order() -> None:
    packed: list[bytes | None] = [stored(seed) for seed in range(1, NUM_HITS + 1)]
    assert with_feedback(packed, 0.0).order.tolist() == ranked(packed).order.tolist()


def test_a_feedback_document_counts_by_its_best_chunk() -> None:
    packed: list[bytes | None] = [stored(seed, num_chunks=3) for seed in range(1, NUM_HITS + 1)]
    before = ranked(packed)
    chunks = [unpack(each or b"").values for each in packed]
    best = before.order[:FEEDBACK_DOCUMENTS]
    shares = np.exp(before.fused[best]) / np.exp(before.fused[best]).sum()
    mean = shares @ np.stack([chunks[i][(chunks[i] @ QUERY).argmax()] for i in best])
    similarity = with_feedback(packed, 1.0, before).similarity
    assert similarity is not None
    np.testing.assert_allclose(similarity, [(each @ mean).max() for each in chunks], atol=1e-5)


def test_a_hit_without_a_vector_is_no_feedback_document_and_keeps_a_neutral_place() -> None:
    packed: list[bytes | None] = [None, *(stored(seed) for seed in range(1, NUM_HITS))]
    after = with_feedback(packed, 1.0)
    similarity = after.similarity
    assert similarity is not None
    assert np.isnan([after.crossing[0], similarity[0]]).all()
    assert sorted(after.order) == list(range(NUM_HITS))
    neutral = np.median(after.crossing[1:] + similarity[1:])
    assert after.fused[0] == pytest.approx(np.log(FIRST_STAGE[0]) + 4.0 * neutral, rel=1e-5)
    assert after.neutral == pytest.approx(np.median(after.crossing[1:]))


def test_without_any_vector_nothing_changes() -> None:
    before = ranked([None] * NUM_HITS)
    assert with_feedback([None] * NUM_HITS, 1.0, before) is before


def test_hits_that_cannot_be_relevant_are_no_feedback_documents() -> None:
    """A first-stage score of 0 among others is a fused value of minus infinity."""
    first_stage = np.array([2.0, 0.0, 0.0, 0.0])
    packed: list[bytes | None] = [stored(seed) for seed in range(1, 5)]
    before = rank(first_stage, score_vectors(QUERY, packed, COSINE, TAG), FUSION)
    after = apply_feedback(
        before, first_stage, FUSION,
        query=QUERY, vectors=WindowVectors(packed, dim=len(QUERY), model_tag=TAG),
        crossing=Cosine(1.0, 0.0), weight=1.0,
    )  # fmt: skip
    assert after.similarity is not None
    assert after.similarity[0] == pytest.approx(1.0, abs=0.01), "it is the only feedback document"

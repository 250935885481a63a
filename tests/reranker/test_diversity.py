"""Diversity: hits that say the same are spread, and nothing else changes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.crossing import Cosine
from reranker.diversity import APART, DEEPEST, NEAR_DUPLICATE, diversify
from reranker.rerank import Ranking, rank
from reranker.stored_vector import pack
from reranker.threshold import demote_unlikely
from reranker.window_vectors import WindowVectors
from tests.support.indices.stored_vectors import COSINE, QUERY, TAG, log_linear, stored

DIM = len(QUERY)


def ranked(packed: list[bytes | None]) -> Ranking:
    vectors = WindowVectors(packed, dim=DIM, model_tag=TAG)
    return rank(np.linspace(9.0, 2.0, len(packed)), vectors.scores(QUERY, COSINE), log_linear(1.0))


def after(
    packed: list[bytes | None], diversity: float, before: Ranking | None = None, *, is_logarithm: bool = True
) -> Ranking:
    return diversify(
        before or ranked(packed),
        query=QUERY,
        vectors=WindowVectors(packed, dim=DIM, model_tag=TAG),
        crossing=COSINE,
        diversity=diversity,
        is_logarithm=is_logarithm,
    )


def cosines(packed: list[bytes | None]) -> np.ndarray:
    vectors = WindowVectors(packed, dim=DIM, model_tag=TAG)
    chunks = np.nan_to_num(vectors.best_chunks(QUERY, COSINE, np.arange(len(packed))))
    found: np.ndarray = chunks.astype(np.float64) @ chunks.T
    return found


def plain_mmr(packed: list[bytes | None], before: Ranking, diversity: float) -> list[int]:
    """Return the order of the published formula, hit by hit, without the rule for near-duplicates."""
    low, high = before.fused.min(), before.fused.max()
    relevance, alike = (before.fused - low) / (high - low), cosines(packed)
    selected, left = [int(before.order[0])], [int(each) for each in before.order[1:]]
    while left:
        values = [
            (1 - diversity) * relevance[hit] - diversity * max(alike[hit][other] for other in selected)
            for hit in left
        ]
        selected.append(left.pop(int(np.argmax(values))))
    return selected


@pytest.mark.parametrize("diversity", [0.1, 0.3, 0.7, 1.0])
def test_the_order_is_that_of_the_published_formula(diversity: float) -> None:
    packed: list[bytes | None] = [stored(seed) for seed in range(1, 31)]
    before = ranked(packed)
    found = after(packed, diversity, before)
    assert found.order.tolist() == plain_mmr(packed, before, diversity) != before.order.tolist()
    assert found.before_diversity is before.order
    assert found.num_moved == np.count_nonzero(found.order != before.order)
    assert found.fused is before.fused


def test_a_diversity_of_0_is_the_identity() -> None:
    packed: list[bytes | None] = [stored(1), stored(1), stored(2), stored(1)]
    before = ranked(packed)
    assert after(packed, 0.0, before).order.tolist() == before.order.tolist()


@given(
    st.lists(st.integers(1, 6), max_size=25),
    st.sets(st.integers(0, 24)),
    st.floats(0.01, 1),
)
def test_every_hit_is_there_once_and_the_first_stays(
    seeds: list[int], without: set[int], diversity: float
) -> None:
    packed = [None if n in without else stored(seed) for n, seed in enumerate(seeds)]
    before = ranked(packed)
    found = after(packed, diversity, before)
    assert sorted(found.order) == list(range(len(seeds)))
    assert found.order[:1].tolist() == before.order[:1].tolist()


def test_near_duplicates_are_apart_as_far_as_there_are_others() -> None:
    """Five copies of each of six documents; by relevance alone the copies follow each other."""
    packed: list[bytes | None] = [stored(seed) for seed in (1, 2, 3, 4, 5, 6) for _ in range(5)]
    alike = cosines(packed) > NEAR_DUPLICATE
    found = after(packed, 0.01).order.tolist()
    apart = [
        later - earlier
        for earlier in range(20)
        for later in range(earlier + 1, 25)
        if alike[found[earlier]][found[later]]
    ]
    assert min(apart) >= APART


def allowed_values(
    relevance: np.ndarray, alike: np.ndarray, diversity: float, selected: list[int]
) -> dict[int, float]:
    """Return the value of every hit that may come next: those near the last ones if there is no other."""
    left = [hit for hit in range(len(relevance)) if hit not in selected]
    near = [hit for hit in left if (alike[hit, selected[1 - APART :]] > NEAR_DUPLICATE).any()]
    values = {hit: (1 - diversity) * relevance[hit] - diversity * alike[hit, selected].max() for hit in left}
    best = max(left, key=lambda hit: (values[hit], -hit))
    if best not in near or len(near) == len(left):
        return values
    return {hit: value for hit, value in values.items() if hit not in near}


@given(st.lists(st.integers(1, 12), min_size=3, max_size=40), st.floats(0.01, 1))
def test_every_step_takes_the_best_hit_that_is_not_near_the_last(seeds: list[int], diversity: float) -> None:
    """Held against the definition, step by step; float32 may decide between values that are nearly equal."""
    packed: list[bytes | None] = [stored(seed) for seed in seeds]
    before, alike = ranked(packed), np.clip(cosines(packed), -1, 1)
    low, high = before.fused.min(), before.fused.max()
    relevance = (before.fused - low) / (high - low)
    order = after(packed, diversity, before).order.tolist()
    for place in range(1, len(order)):
        values = allowed_values(relevance, alike, diversity, order[:place])
        assert values[order[place]] == pytest.approx(max(values.values()), abs=1e-5)


def test_copies_alone_keep_their_order() -> None:
    packed: list[bytes | None] = [stored(1)] * 8
    assert after(packed, 0.5).order.tolist() == ranked(packed).order.tolist()


def test_a_hit_without_a_vector_is_like_no_other() -> None:
    one, two = (pack(np.eye(DIM, dtype=np.float32)[:1], text_hash=7, model_tag=TAG) for _ in range(2))
    packed = [one, two, None]
    before = Ranking(np.arange(3), np.zeros(3, np.float32), np.array([3.0, 2.9, 2.0]), 2)
    assert after(packed, 0.6, before).order.tolist() == [0, 2, 1]


def test_hits_of_a_low_probability_stay_last() -> None:
    packed: list[bytes | None] = [stored(seed) for seed in range(1, 21)]
    crossing = Cosine(scale=10.0, offset=0.0)
    demoted = demote_unlikely(ranked(packed), crossing, 0.5)
    assert demoted.unlikely is not None
    num_likely = int((~demoted.unlikely).sum())
    assert 3 < num_likely < 17
    found = after(packed, 0.8, demoted)
    assert sorted(found.order[:num_likely]) == sorted(demoted.order[:num_likely])
    assert found.order[num_likely:].tolist() == demoted.order[num_likely:].tolist()
    assert found.num_moved


def test_scores_that_are_no_logarithms_become_some() -> None:
    packed: list[bytes | None] = [stored(seed) for seed in range(1, 16)]
    before = ranked(packed)
    products = Ranking(before.order, before.crossing, np.exp(before.fused), before.num_scored)
    found = after(packed, 0.4, products, is_logarithm=False)
    assert found.order.tolist() == after(packed, 0.4).order.tolist()


def test_hits_that_cannot_be_relevant_do_not_disturb() -> None:
    packed: list[bytes | None] = [stored(seed) for seed in range(1, 7)]
    fused = np.array([2.0, 1.0, 0.0, -np.inf, -np.inf, -np.inf])
    before = Ranking(np.arange(6), np.zeros(6, np.float32), fused, 6)
    assert sorted(after(packed, 0.5, before).order) == list(range(6))
    nothing = Ranking(np.arange(6), np.zeros(6, np.float32), np.full(6, -np.inf), 6)
    assert sorted(after(packed, 0.5, nothing).order) == list(range(6))


def test_hits_far_down_stay() -> None:
    packed: list[bytes | None] = [stored(seed) for seed in range(1, DEEPEST + 30)]
    before = ranked(packed)
    assert after(packed, 0.9, before).order[DEEPEST:].tolist() == before.order[DEEPEST:].tolist()

"""Features: what each says of a hit, held against its definition, and finite whatever the window."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.arrays import Floats64
from reranker.errors import ScoresError
from reranker.feature_table import FeatureTable
from reranker.features import FEATURES, FeatureInput, compute_features
from reranker.stored_vector import unpack
from reranker.window_vectors import WindowVectors
from tests.support.indices.stored_vectors import COSINE, QUERY, TAG, stored
from tests.support.paths import DOCS

WEIGHT = 3.0


def compute(packed: list[bytes | None], scores: list[float], text: str = "two words") -> FeatureTable:
    vectors = WindowVectors(packed, dim=len(QUERY), model_tag=TAG)
    num_hits = len(packed)
    exact = np.arange(num_hits) == 1
    others = {"signal.sales": np.linspace(0, 1, num_hits)}
    given = FeatureInput(np.array(scores), QUERY, vectors, COSINE, WEIGHT, text, exact, others)
    return compute_features(given)


def column(table: FeatureTable, name: str) -> Floats64:
    values: Floats64 = table.select([name])[:, 0]
    return values


def test_each_feature_is_what_its_sentence_says() -> None:
    packed, scores = [stored(1), None, stored(2), stored(3)], [8.0, 6.0, 6.0, 2.0]
    crossing = WindowVectors(packed, dim=len(QUERY), model_tag=TAG).scores(QUERY, COSINE).astype(np.float64)
    crossing[1] = np.median(crossing[[0, 2, 3]])
    fused = np.log(scores) + WEIGHT * crossing
    table = compute(packed, scores)
    assert table.names == (*FEATURES, "signal.sales")
    expected = {
        "first_stage": scores,
        "first_stage_log": np.log(scores),
        "first_stage_share": [1, 0.75, 0.75, 0.25],
        "first_stage_rank": [1, 2, 3, 4],
        "crossing": crossing,
        "crossing_gap": crossing - crossing.max(),
        "crossing_rank": [1 + sum(crossing > each) for each in crossing],
        "has_vector": [1, 0, 1, 1],
        "fused": fused - fused.max(),
        "window": [4] * 4,
        "query_words": [2] * 4,
        "exact": [0, 1, 0, 0],
        "signal.sales": np.linspace(0, 1, 4),
    }
    for name, values in expected.items():
        assert column(table, name) == pytest.approx(values, abs=1e-5), name
    similarity, neighbours = column(table, "similarity"), column(table, "neighbours")
    there = [0, 2, 3]
    vectors = np.array([unpack(each).values[0] for each in packed if each is not None])
    weights = np.exp(fused[there] - fused.max())
    assert similarity[there] == pytest.approx(vectors @ (weights / weights.sum() @ vectors), abs=1e-5)
    assert similarity[1] == 0
    assert neighbours[1] == column(table, "fused")[1], "without a vector there are no neighbours"
    assert (neighbours[there] <= 0).all()


@given(
    st.lists(
        st.tuples(st.none() | st.integers(1, 5), st.sampled_from([0.0, 1e-30, 1.0, 7.5, 1e30])),
        min_size=1,
        max_size=20,
    )
)
def test_every_value_is_finite(hits: list[tuple[int | None, float]]) -> None:
    packed = [None if seed is None else stored(seed) for seed, _ in hits]
    table = compute(packed, [score for _, score in hits], text="")
    assert table.values.shape == (len(FEATURES) + 1, len(hits))
    assert np.isfinite(table.values).all()


def test_negative_scores_have_no_features() -> None:
    with pytest.raises(ScoresError, match="at least 0"):
        compute([stored(1)], [-1.0])


def test_the_page_has_every_feature() -> None:
    page = (DOCS / "reference" / "features.md").read_text()
    for name, sentence in FEATURES.items():
        assert f"| `{name}` | {sentence} |\n" in page

"""Scores of hybrid queries against what scaling promises: order, bounds, and independence of weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from opensearch.settings.search_pipeline import TECHNIQUES
from reranker.arrays import Floats64
from reranker.hybrid_scores import SCALES, scale_scores

WINDOWS = npst.arrays(np.float64, st.integers(1, 30), elements=st.floats(0, 30, allow_subnormal=False))


def test_every_technique_has_a_scale() -> None:
    assert set(SCALES) == set(TECHNIQUES)
    assert all(scale > 0 for scale in SCALES.values())


@given(WINDOWS, st.sampled_from(TECHNIQUES))
def test_order_and_bounds_are_kept(scores: Floats64, technique: str) -> None:
    scaled, best = scale_scores(scores, technique), scores.max()
    assert (np.diff(scaled[np.argsort(scores)]) >= 0).all()
    assert (scaled >= scores).all()
    if best > 0:
        assert (scaled >= best).all()
        assert scaled.max() / scaled.min() <= np.exp(SCALES[technique]) * (1 + 1e-12)


@given(WINDOWS, st.floats(0.01, 100), st.sampled_from(TECHNIQUES))
def test_weights_of_the_parts_do_not_matter(scores: Floats64, factor: float, technique: str) -> None:
    if scores.max() < 1e-300:
        return
    once, twice = scale_scores(scores, technique), scale_scores(factor * scores, technique)
    assert np.allclose(once / once.max(), twice / twice.max(), rtol=1e-9)


@pytest.mark.parametrize("scores", [[0.0, 0.0], [1.0, -0.1], [np.nan, 1.0], [np.inf, 1.0], []])
def test_what_has_no_scale_is_left_to_fusion(scores: list[float]) -> None:
    given = np.array(scores, np.float64)
    assert scale_scores(given, "min_max") is given

"""The cosine crossing and its calibration."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.crossing import Cosine

COSINE = Cosine(scale=10.0, offset=-5.0)


def test_the_score_is_the_dot_product_of_query_and_document() -> None:
    query = np.array([0.6, 0.8], np.float32)
    documents = np.array([[0.6, 0.8], [0.8, -0.6], [-0.6, -0.8], [1.0, 0.0]], np.float32)
    scores = COSINE(query, documents)
    assert scores.dtype == np.float32
    assert np.allclose(scores, [1.0, 0.0, -1.0, 0.6], atol=1e-7)


def test_no_documents_give_no_scores() -> None:
    assert COSINE(np.ones(3, np.float32), np.empty((0, 3), np.float32)).shape == (0,)


@given(dim=st.sampled_from([1, 5, 33, 64, 384]), copies=st.integers(2, 130), seed=st.integers(0, 2**32 - 1))
def test_equal_documents_get_equal_scores_wherever_they_stand(dim: int, copies: int, seed: int) -> None:
    """Bit for bit: otherwise copies of a document would change places by rounding alone."""
    random = np.random.default_rng(seed)
    query, document = random.normal(size=(2, dim)).astype(np.float32)
    scores = COSINE(query, np.tile(document, (copies, 1)))
    assert (scores == COSINE(query, document[None])[0]).all()


def test_the_probability_is_the_calibrated_sigmoid() -> None:
    scores = np.array([-1.0, 0.0, 0.5, 0.8, 1.0], np.float32)
    expected = [1 / (1 + math.exp(-(10 * float(score) - 5))) for score in scores]
    probabilities = COSINE.probability(scores)
    assert probabilities.dtype == np.float32
    assert probabilities == pytest.approx(expected, rel=1e-5)
    assert probabilities[2] == 0.5


@given(scale=st.floats(-1e6, 1e6), offset=st.floats(-1e6, 1e6))
def test_a_probability_stays_between_0_and_1_without_a_warning(scale: float, offset: float) -> None:
    scores = np.array([-1.0, -0.1, 0.0, 0.1, 1.0, np.nan], np.float32)
    probabilities = Cosine(scale, offset).probability(scores)
    assert ((probabilities[:5] >= 0) & (probabilities[:5] <= 1)).all()
    assert np.isnan(probabilities[5])

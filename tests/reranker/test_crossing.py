"""The cosine crossing and its calibration."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reranker.crossing import Cosine, Residual
from reranker.errors import BundleError

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


DIM, HIDDEN = 12, 5


def residual(seed: int = 1) -> Residual:
    random = np.random.default_rng(seed)
    shapes = ((HIDDEN, DIM), (HIDDEN,), (DIM, HIDDEN), (DIM,), (2, DIM), (2,))
    return Residual(*(random.normal(size=shape).astype(np.float32) for shape in shapes))


def test_the_residual_score_is_the_logit_of_the_papers_softmax() -> None:
    layer, random = residual(), np.random.default_rng(2)
    query, documents = random.normal(size=DIM), random.normal(size=(4, DIM))
    expected = []
    for document in documents:
        x = np.maximum(query, document)
        r = layer.w1 @ np.maximum(layer.w0 @ x + layer.b0, 0) + layer.b1
        z = layer.w2 @ np.maximum(r + x, 0) + layer.b2
        expected.append(np.exp(z[1]) / np.exp(z).sum())
    scores = layer(query.astype(np.float32), documents.astype(np.float32))
    assert scores.dtype == np.float32
    assert layer.probability(scores) == pytest.approx(expected, rel=1e-4)


def test_the_residual_crossing_takes_no_documents() -> None:
    assert residual()(np.ones(DIM, np.float32), np.empty((0, DIM), np.float32)).shape == (0,)


@settings(deadline=None)
@given(copies=st.integers(2, 130), others=st.integers(0, 40), seed=st.integers(0, 2**32 - 1))
def test_equal_documents_get_equal_residual_scores(copies: int, others: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    query, document = random.normal(size=(2, DIM)).astype(np.float32)
    rows = np.concatenate([np.tile(document, (copies, 1)), random.normal(size=(others, DIM))]).astype(
        np.float32
    )
    places = random.permutation(len(rows))
    scores = residual(seed)(query, rows[places])[np.argsort(places)]
    assert (scores[:copies] == scores[0]).all()
    one_by_one = [residual(seed)(query, row[None])[0] for row in rows]
    assert scores == pytest.approx(one_by_one, rel=1e-4, abs=1e-4)


def test_residual_weights_are_read_as_they_were_written(tmp_path: Path) -> None:
    file, layer = tmp_path / "crossing.npz", residual()
    layer.write(file)
    read = Residual.read(file, dim=DIM, hidden=HIDDEN, scale=2.0, offset=-1.0)
    query, documents = np.ones(DIM, np.float32), np.eye(DIM, dtype=np.float32)
    assert np.array_equal(read(query, documents), layer(query, documents))
    assert read.probability(np.array([0.5], np.float32))[0] == 0.5
    with pytest.raises(BundleError, match=r"expected finite float32 arrays .*\(6, 12\)"):
        Residual.read(file, dim=DIM, hidden=HIDDEN + 1, scale=1.0, offset=0.0)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"garbage", b"\x93NUMPY"])
def test_a_damaged_weights_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "crossing.npz").write_bytes(content)
    with pytest.raises(BundleError, match=r"expected crossing weights in .*found"):
        Residual.read(tmp_path / "crossing.npz", dim=DIM, hidden=HIDDEN, scale=1.0, offset=0.0)


@pytest.mark.parametrize("odd", [np.float32("nan"), np.float64(1)])
def test_residual_weights_that_are_not_finite_float32_are_refused(tmp_path: Path, odd: float) -> None:
    replace(residual(), b2=np.array([odd, odd])).write(tmp_path / "crossing.npz")
    with pytest.raises(BundleError, match="expected finite float32 arrays"):
        Residual.read(tmp_path / "crossing.npz", dim=DIM, hidden=HIDDEN, scale=1.0, offset=0.0)


def test_one_array_is_no_weights_file(tmp_path: Path) -> None:
    np.save(tmp_path / "crossing.npy", np.ones(3))
    with pytest.raises(BundleError, match="expected crossing weights in"):
        Residual.read(tmp_path / "crossing.npy", dim=DIM, hidden=HIDDEN, scale=1.0, offset=0.0)

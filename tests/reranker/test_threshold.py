"""A least probability: who goes last, and who goes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reranker.crossing import Cosine, Residual
from reranker.rerank import rank
from reranker.threshold import cut_unlikely, demote_unlikely, is_calibrated
from tests.support.indices.stored_vectors import log_linear

CALIBRATED = Cosine(scale=10.0, offset=-5.0)
CROSSING = np.array([0.2, 0.9, np.nan, 0.4, 0.6], np.float32)
"""Probabilities of 0.05, 0.98, none, 0.27 and 0.73."""
RANKING = rank(np.full(5, 1.0), CROSSING, log_linear(1.0))


def test_unlikely_hits_go_last_in_their_order() -> None:
    assert RANKING.order.tolist() == [1, 4, 2, 3, 0]
    assert demote_unlikely(RANKING, CALIBRATED, 0.8).order.tolist() == [1, 2, 4, 3, 0]
    assert demote_unlikely(RANKING, CALIBRATED, 1.0).order.tolist() == [2, 1, 4, 3, 0]


def test_unlikely_hits_are_cut_but_never_one_without_a_vector() -> None:
    found = cut_unlikely(RANKING, CALIBRATED, 0.5)
    assert found.order.tolist() == [1, 4, 2]
    assert found.unlikely is not None
    assert found.unlikely.tolist() == [True, False, False, True, False]
    assert cut_unlikely(RANKING, CALIBRATED, 1.0).order.tolist() == [2]


def test_the_crossing_alone_decides() -> None:
    """A hit that its first stage or a signal puts first may be cut."""
    lifted = rank(np.array([1e6, 1, 1, 1, 1]), CROSSING, log_linear(1.0))
    assert lifted.order[0] == 0
    assert 0 not in cut_unlikely(lifted, CALIBRATED, 0.1).order


def test_none_is_below_0_and_an_empty_window_stays_empty() -> None:
    assert demote_unlikely(RANKING, CALIBRATED, 0.0).order.tolist() == RANKING.order.tolist()
    empty = rank(np.empty(0), np.empty(0, np.float32), log_linear(1.0))
    assert len(cut_unlikely(empty, CALIBRATED, 0.5).order) == 0


@given(arrays(np.float32, st.integers(0, 20), elements=st.floats(-1, 1, width=32)), st.floats(0, 1))
def test_demoting_is_a_permutation_and_cutting_its_beginning(crossing: np.ndarray, least: float) -> None:
    ranking = rank(np.ones(len(crossing)), crossing, log_linear(1.0))
    demoted, kept = (each(ranking, CALIBRATED, least) for each in (demote_unlikely, cut_unlikely))
    assert sorted(demoted.order) == list(range(len(crossing)))
    assert demoted.order[: len(kept.order)].tolist() == kept.order.tolist()


@pytest.mark.parametrize(("scale", "offset", "fitted"), [(1, 0, False), (1, -3, True), (22.7, -17, True)])
def test_neutral_parameters_are_no_calibration(scale: float, offset: float, fitted: bool) -> None:
    none = np.empty(0, np.float32)
    assert is_calibrated(Cosine(scale, offset)) == fitted
    assert is_calibrated(Residual(none, none, none, none, none, none, scale=scale, offset=offset)) == fitted

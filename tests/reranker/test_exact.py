"""Exact matches: what equals the query, and where it goes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.crossing import Cosine
from reranker.exact import is_exact, normalise, put_exact_first
from reranker.rerank import rank
from reranker.threshold import cut_unlikely
from tests.support.indices.stored_vectors import log_linear


@pytest.mark.parametrize(
    "value",
    ["AB-12 x", "ab-12 x", "  Ab-12\t x\n", "\uff21\uff22-12\u3000X", "AB-12\u00a0x"],
)
def test_case_width_and_spaces_do_not_count(value: str) -> None:
    assert is_exact([value], normalise("ab-12 X"))


@pytest.mark.parametrize("value", ["AB12 x", "ab-12", "ab-12 xy", ""])
def test_another_text_is_another(value: str) -> None:
    assert not is_exact([value], normalise("ab-12 X"))


def test_any_value_counts_and_an_empty_query_is_nothing() -> None:
    assert is_exact(["one", "Stra\u00dfe"], normalise("STRASSE"))
    assert not is_exact(["", " "], normalise("  "))


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


CROSSING = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
RANKING = rank(np.ones(4), CROSSING, log_linear(1.0))


def test_exact_hits_come_first_in_first_stage_order() -> None:
    assert RANKING.order.tolist() == [3, 2, 1, 0]
    found = put_exact_first(RANKING, np.array([True, False, True, False]))
    assert found.order.tolist() == [0, 2, 3, 1]
    assert found.exact is not None
    assert found.exact.tolist() == [True, False, True, False]


def test_a_hit_that_was_cut_stays_away() -> None:
    cut = cut_unlikely(RANKING, Cosine(10.0, -2.5), 0.5)
    assert cut.order.tolist() == [3, 2]
    found = put_exact_first(cut, np.array([True, False, True, False]))
    assert found.order.tolist() == [2, 3]
    assert found.exact is not None
    assert found.exact.tolist() == [False, False, True, False]


def test_without_an_exact_hit_and_without_hits_nothing_changes() -> None:
    assert put_exact_first(RANKING, np.zeros(4, np.bool_)).order.tolist() == RANKING.order.tolist()
    empty = rank(np.empty(0), np.empty(0, np.float32), log_linear(1.0))
    assert len(put_exact_first(empty, np.array([], np.bool_)).order) == 0

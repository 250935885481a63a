"""Which queries a rule is for, against a plain reading of its condition; and what boosts do to an order."""

import re
from fnmatch import fnmatchcase

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reranker.exact import normalise
from reranker.rerank import Ranking
from reranker.rules import MAX_CHARS, QueryTable, TextCondition, apply_boosts, is_identifier

HOLDS = [
    ("is", "Summer Tent", "summer  TENT"),
    ("is", "straße", "STRASSE"),
    ("is", "ﬁle", "file"),
    ("contains", "tent", "a tent for two"),
    ("contains", "for two", "a tent for two"),
    ("contains", "tent", "tent"),
    ("pattern", "tent*", "tent for two"),
    ("pattern", "*tent", "red tent"),
    ("pattern", "te?t", "text"),
    ("pattern", "*", "anything"),
    ("pattern", "a[bc]", "a[bc]"),
    ("pattern", "*テント*", "赤いテントです"),
]
DOES_NOT_HOLD = [
    ("is", "tent", "tents"),
    ("contains", "tent", "tents"),
    ("contains", "for two", "for a two"),
    ("contains", "for two three", "for two"),
    ("pattern", "tent", "tents"),
    ("pattern", "te?t", "tet"),
    ("pattern", "a[bc]", "ab"),
    ("pattern", "a.c", "abc"),
    ("is", "tent", ""),
    ("pattern", "*", ""),
]


@pytest.mark.parametrize(("kind", "text", "query"), HOLDS, ids=str)
def test_a_condition_holds(kind: str, text: str, query: str) -> None:
    assert QueryTable([TextCondition(kind, text)]).find(normalise(query)) == [0]


@pytest.mark.parametrize(("kind", "text", "query"), DOES_NOT_HOLD, ids=str)
def test_a_condition_does_not_hold(kind: str, text: str, query: str) -> None:
    assert QueryTable([TextCondition(kind, text)]).find(normalise(query)) == []


def test_what_always_holds_needs_no_text() -> None:
    table = QueryTable([TextCondition("is", "a"), None])
    assert (table.find(""), table.find("a"), table.find("a" * (MAX_CHARS + 1))) == ([1], [0, 1], [1])


TEXTS = st.text("ab *?[", max_size=8)
CONDITIONS = st.builds(TextCondition, st.sampled_from(["is", "contains", "pattern"]), TEXTS)


def holds(condition: TextCondition, query: str) -> bool:
    """Read a condition the plain way."""
    text = normalise(condition.text)
    if condition.kind == "is":
        return text == query
    if condition.kind == "contains":
        return bool(text) and f" {text} " in f" {query} "
    return fnmatchcase(query, re.sub(r"\[", "[[]", text))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(CONDITIONS, max_size=30), TEXTS)
def test_the_tables_find_what_holds(conditions: list[TextCondition], query: str) -> None:
    text = normalise(query)
    wanted = [number for number, each in enumerate(conditions) if text and holds(each, text)]
    assert QueryTable(conditions).find(text) == wanted


def test_many_stars_take_no_time() -> None:
    table = QueryTable([TextCondition("pattern", "a*" * 200 + "b")] * 50)
    assert table.find("a" * MAX_CHARS) == []


@pytest.mark.parametrize("text", ["ab-1234", "4711", "m8", "a.b_c/2#3:4+5", "\uff19\uff19"])
def test_a_part_number_is_an_identifier(text: str) -> None:
    assert is_identifier(normalise(text))


@pytest.mark.parametrize("text", ["", "tent", "ab 12", "4711?", "1" * 65, "a\n1"])
def test_words_are_no_identifier(text: str) -> None:
    assert not is_identifier(text)


def ranking(*fused: float) -> Ranking:
    values = np.array(fused)
    return Ranking(np.argsort(-values, kind="stable"), np.zeros(len(fused), np.float32), values, len(fused))


def test_boosts_multiply_and_ties_keep_their_order() -> None:
    factors = [np.log([1.0, 2.0, 2.0, 1.0]), np.log([1.0, 1.0, 3.0, 1.0])]
    found = apply_boosts(ranking(6.0, 3.0, 1.0, 0.5), factors, is_logarithm=False)
    assert found.fused.tolist() == pytest.approx([6, 6, 6, 0.5])
    assert found.boosts is not None
    assert found.boosts.shape == (2, 4)
    in_logarithms = apply_boosts(ranking(*np.log([6.0, 3.0, 1.0, 0.5])), factors, is_logarithm=True)
    assert np.exp(in_logarithms.fused).tolist() == pytest.approx([6, 6, 6, 0.5])


def test_many_factors_stay_finite() -> None:
    factors = [np.log([1.0, 100.0])] * 400
    assert apply_boosts(ranking(1.0, 0.5), factors, is_logarithm=False).order.tolist() == [1, 0]

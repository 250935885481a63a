"""Measures against values worked out by hand."""

import math

import numpy as np
import pytest

from plugin.evaluation.measures import compare, measure

QRELS = {"q1": {"a": 3, "b": 1, "c": 0}, "q2": {"x": 1}}


def test_ndcg_with_linear_gains_and_the_full_ideal() -> None:
    found = measure(QRELS, {"q1": ["b", "c", "a"], "q2": ["n", "x"]})
    ideal = 3 + 1 / math.log2(3)
    expected = [(1 + 3 / math.log2(4)) / ideal, 1 / math.log2(3)]
    assert found.ndcg == pytest.approx(expected)


def test_fractional_grades_count_as_they_are() -> None:
    run = {"q1": ["b", "c", "a"], "q2": ["n", "x"]}
    tenths = {query: {doc: grade / 10 for doc, grade in grades.items()} for query, grades in QRELS.items()}
    found = measure(tenths, run, relevant=0.25)
    assert found.ndcg == pytest.approx(measure(QRELS, run).ndcg)
    assert found.rr == pytest.approx([1 / 3, 0])
    assert found.bad == pytest.approx([2, 1])


def test_reciprocal_rank_and_the_grade_that_counts() -> None:
    run = {"q1": ["c", "b", "a"], "q2": ["x"]}
    assert measure(QRELS, run).rr == pytest.approx([1 / 2, 1])
    assert measure(QRELS, run, relevant=2).rr == pytest.approx([1 / 3, 0])


def test_beyond_ten_nothing_counts() -> None:
    run = {"q1": [f"n{i}" for i in range(10)] + ["a"], "q2": ["x"]}
    found = measure(QRELS, run)
    assert (found.ndcg[0], found.rr[0], found.unjudged[0]) == (0, 0, 1)


def test_the_order_counts_and_not_the_document_ids() -> None:
    qrels = {"q": {"z": 1}}
    assert measure(qrels, {"q": ["z", "a", "b"]}).rr == pytest.approx([1])
    assert measure(qrels, {"q": ["a", "b", "z"]}).rr == pytest.approx([1 / 3])


def test_bad_hits_and_the_unjudged_share() -> None:
    run = {"q1": ["a", "c", "n", "m"], "q2": []}
    found = measure(QRELS, run)
    assert found.bad == pytest.approx([1, 0])
    assert found.unjudged == pytest.approx([0.5, 0])
    assert measure(QRELS, {"q1": ["a", "b", "c"]}, relevant=2).bad == pytest.approx([2, 0])


def test_a_query_without_hits_counts_as_zero() -> None:
    found = measure(QRELS, {"q1": ["a", "b"]})
    assert found.ndcg == pytest.approx([1, 0])
    assert found.rr == pytest.approx([1, 0])


def test_a_paired_difference() -> None:
    before, after = np.array([0.2, 0.4, 0.6, 0.5]), np.array([0.3, 0.6, 0.5, 0.5])
    found = compare(before, after)
    assert (found.won, found.lost, found.tied) == (2, 1, 1)
    assert found.mean == pytest.approx(0.05)
    # t = mean / (sd / sqrt(4)) = 0.05 / (0.129099 / 2) = 0.774597 with 3 degrees of freedom
    assert found.p == pytest.approx(0.4950, abs=1e-4)
    # the 97.5 % point of t with 3 degrees of freedom is 3.182446
    assert found.high - found.mean == pytest.approx(3.182446 * 0.129099 / 2, rel=1e-4)
    assert found.low == pytest.approx(found.mean - 3.182446 * 0.129099 / 2, rel=1e-4)


def test_no_difference_at_all_is_no_evidence() -> None:
    same = np.array([0.1, 0.2, 0.3])
    assert compare(same, same).p == 1.0

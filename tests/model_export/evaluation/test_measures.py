"""Measures of reranked hits, by hand and by property."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.data.collection import JudgedCollection
from model_export.evaluation.measures import (
    average_collections,
    bin_probabilities,
    estimate_interval,
    measure_queries,
)

pytestmark = pytest.mark.export


GRADES = {"q": {"a": 1, "b": 0, "c": 2}, "r": {"a": 1}}


DATA = JudgedCollection("made", {}, {"q": "", "r": ""}, GRADES, None)


SCORES = {"a": 3.0, "b": 2.0, "c": 1.0, "d": 0.0}


def test_measures_of_a_case_that_can_be_counted() -> None:
    found = measure_queries(DATA, {"q": SCORES, "r": {}})
    assert found["RR@10"].tolist() == [1.0, 0.0]
    ideal = 2 + 1 / math.log2(3)
    assert found["nDCG@10"][0] == pytest.approx((1 + 2 / 2) / ideal)
    assert found["ROC-AUC"][0] == 3 / 4, "a before b and d, c before d, but b before c"
    assert np.isnan(found["ROC-AUC"][1]), "no hits, no order"
    assert found["bad@10"].tolist() == [1.0, 0.0], "d was not judged"
    assert found["bad/judged@10"][0] == 1 / 3
    assert np.isnan(found["bad/judged@10"][1]), "nothing was shown"


def test_every_hit_counts_as_judged_if_none_is_judged_bad() -> None:
    data = JudgedCollection("made", {}, {"q": ""}, {"q": {"a": 1}}, None)
    found = measure_queries(data, {"q": SCORES})
    assert (found["bad@10"][0], found["bad/judged@10"][0]) == (3, 3 / 4)


@settings(deadline=None)
@given(
    scores=st.lists(st.integers(0, 5), min_size=2, max_size=12),
    grades=st.lists(st.integers(0, 1), min_size=12, max_size=12),
)
def test_the_auc_is_the_share_of_ordered_pairs(scores: list[int], grades: list[int]) -> None:
    run = {str(i): float(score) for i, score in enumerate(scores)}
    qrels = {str(i): grades[i] for i in range(len(scores))}
    found = measure_queries(JudgedCollection("x", {}, {"q": ""}, {"q": qrels}, None), {"q": run})["ROC-AUC"][
        0
    ]
    pairs = [
        (run[i] > run[j]) + (run[i] == run[j]) / 2 for i in run for j in run if qrels[i] and not qrels[j]
    ]
    assert found == pytest.approx(np.mean(pairs)) if pairs else np.isnan(found)


def test_a_calibrated_model_has_no_calibration_error() -> None:
    probabilities = np.repeat([0.05, 0.55, 1.0], [20, 20, 10])
    relevant = np.array([True] + [False] * 19 + [True] * 11 + [False] * 9 + [True] * 10)
    fit = bin_probabilities(probabilities, relevant)
    assert fit.error == pytest.approx(0, abs=1e-9)
    assert fit.count.tolist() == [20, 20, 10]
    assert bin_probabilities(probabilities, ~relevant).error > 0.5


def test_the_interval_holds_the_mean_and_narrows_with_more_queries() -> None:
    random = np.random.default_rng(0)
    few, many = random.uniform(size=20), random.uniform(size=2000)
    for values in (few, many):
        low, high = estimate_interval([values, values])
        assert low < average_collections([values]) < high
    widths = [high - low for low, high in (estimate_interval([few]), estimate_interval([many]))]
    assert widths[1] < widths[0] / 5

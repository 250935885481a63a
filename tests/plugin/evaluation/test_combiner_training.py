"""Learning a combiner: it finds what is there, and its gain is measured on queries that it has not seen."""

import json

import numpy as np
import pytest

from plugin.evaluation.combiner_training import learn
from plugin.evaluation.feature_files import format_header, format_jsonl, format_libsvm
from plugin.evaluation.tune import TuningError, Window
from reranker.arrays import Floats
from reranker.combiner_files import parse_combiner
from reranker.feature_table import FeatureTable

NAMES = ("first_stage_log", "crossing", "signal.sales", "window")
NUM_HITS = 30
Grades = dict[str, dict[str, float]]


def make_windows(num_queries: int, *, informative: bool) -> tuple[dict[str, Window], Grades]:
    """Return windows whose two relevant hits have a high crossing and sales in between, if informative.

    The shown order is that of the first stage. Half of the other hits are not judged.
    """
    random = np.random.default_rng(5)
    windows, grades = {}, {}
    for query in map(str, range(num_queries)):
        relevant = random.choice(NUM_HITS, 2, replace=False).tolist()
        values = random.uniform(0, 1, (len(NAMES), NUM_HITS))
        values[3] = NUM_HITS
        if informative:
            values[1, relevant] += 0.5
            values[2, relevant] = 0.5 + 0.05 * random.standard_normal(2)
        ids = [f"d{n}" for n in range(NUM_HITS)]
        first_stage, crossing = np.linspace(9, 5, NUM_HITS), values[1].astype(np.float32)
        windows[query] = Window(ids, first_stage, crossing, ids, FeatureTable(NAMES, values))
        grades[query] = {id_: float(n in relevant) for n, id_ in enumerate(ids) if n % 2 or n in relevant}
    return windows, grades


def test_weights_that_help_are_learned_and_hold_on_unseen_queries() -> None:
    windows, grades = make_windows(60, informative=True)
    learned = learn("linear", windows, grades, {}, model="tiny")
    assert learned.is_worth_it
    assert learned.unseen > learned.now + 0.2
    assert learned.first_stage == learned.now
    assert learned.gain.low <= learned.gain.mean == pytest.approx(learned.unseen - learned.now)
    file = json.loads(learned.content)
    assert file["twinrank"] == {"model": "tiny"}
    assert "window" not in file["weights"], "it is the same for all hits of a query"
    assert file["weights"]["crossing"] > 5 * abs(file["weights"]["first_stage_log"])
    assert parse_combiner(learned.content).model == "tiny"


def test_trees_learn_what_weights_cannot() -> None:
    """Sales in between are good: no weight says so."""
    pytest.importorskip("lightgbm", reason="needs lightgbm: the dev extra")
    windows, grades = make_windows(100, informative=True)
    linear, trees = (learn(kind, windows, grades, {}, model="tiny") for kind in ("linear", "lightgbm"))
    assert trees.is_worth_it
    assert trees.unseen > linear.unseen + 0.05
    assert parse_combiner(trees.content).features == NAMES
    assert learn("lightgbm", windows, grades, {}, model="tiny").content == trees.content


@pytest.mark.parametrize("kind", ["linear", "lightgbm"])
def test_noise_is_not_sold_as_a_gain(kind: str) -> None:
    if kind == "lightgbm":
        pytest.importorskip("lightgbm", reason="needs lightgbm: the dev extra")
    windows, grades = make_windows(60, informative=False)
    assert not learn(kind, windows, grades, {}, model="tiny").is_worth_it


def test_unjudged_hits_may_be_left_out() -> None:
    windows, grades = make_windows(60, informative=True)
    whole, judged = (
        learn("linear", windows, grades, {}, model="tiny", judged_only=each) for each in (False, True)
    )
    assert judged.first_stage > whole.first_stage
    assert judged.is_worth_it


def test_too_little_is_refused() -> None:
    windows, grades = make_windows(9, informative=True)
    with pytest.raises(TuningError, match="at least 10 judged queries, found 9"):
        learn("linear", windows, grades, {}, model="tiny")
    windows, grades = make_windows(20, informative=True)
    same = {query: dict.fromkeys(each, 1.0) for query, each in grades.items()}
    with pytest.raises(TuningError, match="hits of different grades"):
        learn("linear", windows, same, {}, model="tiny", judged_only=True)


def test_grades_may_be_fractions() -> None:
    windows, grades = make_windows(40, informative=True)
    halves = {query: {id_: grade / 2 for id_, grade in each.items()} for query, each in grades.items()}
    assert learn("linear", windows, halves, {}, model="tiny").is_worth_it


VALUES = np.array([[0.5, 1.0], [2.0, 3e-9]])
IDS = ["a", "b c"]
TABLE = FeatureTable(("x", "y"), VALUES)
WINDOW = Window(IDS, np.array([2.0, 1.0]), np.zeros(2, np.float32), IDS, TABLE)


def test_json_lines_have_every_feature_by_name() -> None:
    found = [json.loads(each) for each in format_jsonl("q", "wörds", WINDOW, {"a": 2}, judged_only=False)]
    assert found == [
        {"query_id": "q", "query": "wörds", "doc_id": "a", "grade": 2, "features": {"x": 0.5, "y": 2.0}},
        {"query_id": "q", "query": "wörds", "doc_id": "b c", "grade": None, "features": {"x": 1, "y": 3e-9}},
    ]
    assert len(list(format_jsonl("q", "", WINDOW, {"a": 2}, judged_only=True))) == 1


def test_libsvm_has_every_feature_by_its_column() -> None:
    assert format_header(WINDOW) == "# 1:x 2:y"
    assert list(format_libsvm("q", 7, WINDOW, {"a": 2.5}, judged_only=False)) == [
        "2.5 qid:7 1:0.5 2:2 # q a",
        "0 qid:7 1:1 2:3e-09 # q b c",
    ]
    assert len(list(format_libsvm("q", 7, WINDOW, {"a": 2}, judged_only=True))) == 1


def test_a_window_without_hits_is_no_line_and_no_obstacle() -> None:
    none: Floats = np.zeros(0, np.float32)
    empty = Window([], np.zeros(0), none)
    assert not list(format_jsonl("q", "", empty, {}, judged_only=False))
    windows, grades = make_windows(30, informative=True)
    windows["0"] = empty
    assert learn("linear", windows, grades, {}, model="tiny").num_queries == 30

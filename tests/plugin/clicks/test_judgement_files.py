"""Judgements from clicks: their grades, and files that the readers take."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.clicks.click_judgements import ClickJudgement, grade_clicks, judge_clicks, make_query_id
from plugin.clicks.click_log import Tally
from plugin.clicks.judgement_files import OutputFolderError, write_judgements
from reranker.beir_files import read_queries
from reranker.judgements import read_judgement_file, read_judgements
from reranker.query_files import EvaluationQuery, read_query_file

TALLIES = [
    Tally('blue "shoe", large', "d1", 30, 100, 10.0),
    Tally('blue "shoe", large', "d,2", 0, 100, 10.0),
    Tally("red", "d1", 12, 100, 10.0),
    Tally("red", "d3", 7, 100, 10.0),
]

GRADES = {'blue "shoe", large': {"d1": 3, "d,2": 0}, "red": {"d1": 2, "d3": 1}}


def test_a_judgement_has_its_grade_and_its_evidence() -> None:
    found = next(judge_clicks(TALLIES))
    id_ = make_query_id('Blue "SHOE", large')
    assert found == ClickJudgement(id_, 'blue "shoe", large', "d1", 3, 3.0, 30, 100)
    assert next(judge_clicks([Tally("x", "d", 0, 20, 0.0)])).coec == 0


@pytest.mark.parametrize(
    ("clicks", "expected", "grade"),
    [(0, 0.0, 0), (0, 10.0, 0), (1, 0.05, 1), (5, 10.0, 0), (6, 10.0, 1), (11, 10.0, 2), (22, 10.0, 3)],
)
def test_grades_begin_at_their_limits(clicks: int, expected: float, grade: int) -> None:
    assert grade_clicks(clicks, expected) == grade


@given(st.integers(0, 1_000), st.integers(0, 1_000), st.floats(0, 1_000))
def test_more_clicks_are_never_a_lower_grade(fewer: int, more: int, expected: float) -> None:
    low, high = sorted((fewer, fewer + more))
    assert 0 <= grade_clicks(low, expected) <= grade_clicks(high, expected) <= 3


def test_spreadsheets_are_what_evaluate_reads(tmp_path: Path) -> None:
    queries, judged = write_judgements(tmp_path / "new", "csv", judge_clicks(TALLIES))
    assert (queries.name, judged.name) == ("queries.csv", "judgments.csv")
    assert read_query_file(queries) == {make_query_id(text): EvaluationQuery(text) for text in GRADES}
    assert read_judgement_file(judged).grades == {make_query_id(text): each for text, each in GRADES.items()}
    assert judged.read_text().splitlines()[1].endswith(",d1,3,3.000,30,100")


def test_the_layout_of_beir_is_what_training_reads(tmp_path: Path) -> None:
    queries, judged = write_judgements(tmp_path, "beir", judge_clicks(TALLIES))
    assert read_queries(queries) == {make_query_id(text): text for text in GRADES}
    assert read_judgements(judged) == {make_query_id(text): each for text, each in GRADES.items()}


def test_the_workbench_gets_the_bodies_that_it_imports(tmp_path: Path) -> None:
    queries, judged = write_judgements(tmp_path, "workbench", judge_clicks(TALLIES))
    query_set, judgements = json.loads(queries.read_text()), json.loads(judged.read_text())
    assert (query_set["sampling"], judgements["type"]) == ("manual", "IMPORT_JUDGMENT")
    assert len(query_set["name"]) <= 50
    assert query_set["querySetQueries"] == [{"queryText": text} for text in GRADES]
    assert judgements["judgmentRatings"][1] == {
        "query": "red",
        "ratings": [{"docId": "d1", "rating": "2.0"}, {"docId": "d3", "rating": "1.0"}],
    }


def test_a_folder_that_cannot_be_written_is_a_plain_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputFolderError, match=r"expected to write judgements to .*file, found"):
        write_judgements(tmp_path / "file", "csv", ())

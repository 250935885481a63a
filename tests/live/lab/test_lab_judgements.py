"""Judgements in a real Chromium: kept by index and query, measured as `evaluate` does, saved and loaded."""

import csv
import io
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from plugin.evaluation.measures import measure
from reranker.judgements import read_judgement_file
from reranker.query_files import read_query_file
from tests.support.browser import LAB, Tab, open_tab
from tests.support.indices.toy_index import ToyIndex

pytestmark = pytest.mark.live
MODULE = f"import('{LAB}lab/judgements.js')"


def rows(text: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file as Python reads them."""
    return list(csv.DictReader(io.StringIO(text)))


def judge(tab: Tab, toy_index: ToyIndex) -> dict[str, int]:
    """Judge some hits of both columns, and return the grades."""
    tab.open(index=toy_index.name, text=toy_index.query_text)
    straight, reranked = tab.column("opensearch"), tab.column("twinrank")
    grades = {reranked[2]: 1, reranked[0]: 0, straight[0]: 1, reranked[7]: 1}
    for id_, grade in grades.items():
        side = "twinrank" if id_ in reranked else "opensearch"
        tab.thumb(id_, "Relevant" if grade else "Not relevant", side).click()
    return grades


def test_ndcg_is_that_of_evaluate(tab: Tab, toy_index: ToyIndex) -> None:
    grades = judge(tab, toy_index)
    expected = [
        float(measure({"q": grades}, {"q": tab.column(side)}).ndcg[0]) for side in ("opensearch", "twinrank")
    ]
    shown = tab.page.locator(".quality .value b").all_inner_texts()
    assert [float(text) for text in shown] == pytest.approx(expected, abs=5e-4)
    both = len({*tab.column("opensearch"), *tab.column("twinrank")})
    assert f"{len(grades)} of {both} hits judged" in tab.find("verdict").inner_text()


@pytest.mark.parametrize(
    "grades",
    [{"a": 3, "b": 1, "c": 0, "x": 2}, {"x": 1}, {f"n{n}": n % 4 for n in range(40)}, {"c": -1, "a": 1}],
)
def test_ndcg_is_that_of_trec_eval_for_any_grades(tab: Tab, grades: dict[str, int]) -> None:
    tab.open()
    ids = ["a", "b", "c", "constructor", *(f"n{n}" for n in range(30))]
    found = tab.page.evaluate(f"async ([ids, grades]) => (await {MODULE}).ndcg(ids, grades)", [ids, grades])
    assert found == pytest.approx(float(measure({"q": grades}, {"q": ids}).ndcg[0]), abs=1e-9)


def test_judgements_stay_by_index_and_query(tab: Tab, toy_index: ToyIndex) -> None:
    grades = judge(tab, toy_index)
    liked = next(id_ for id_, grade in grades.items() if grade and id_ in tab.column("twinrank"))
    tab.open(index=toy_index.name, text=f"{toy_index.query_text} ")
    assert tab.thumb(liked, "Relevant").get_attribute("aria-pressed") == "true"
    tab.search(toy_index.query_text.split()[0])
    assert tab.page.locator(".thumb[aria-pressed=true]").count() == 0
    tab.page.locator("#judged-queries button").first.click()
    tab.settle()
    assert tab.find("text").input_value() == toy_index.query_text
    assert tab.thumb(liked, "Relevant").get_attribute("aria-pressed") == "true"
    tab.thumb(liked, "Relevant").click()
    assert tab.thumb(liked, "Relevant").get_attribute("aria-pressed") == "false"
    tab.open(index=toy_index.name, text=toy_index.query_text)
    assert f"{len(grades) - 1} judgements of 1 query" in tab.find("judged-count").inner_text()


def test_files_are_saved_and_loaded_into_another_browser(
    browser: Browser, tab: Tab, proxy_url: str, toy_index: ToyIndex, tmp_path: Path
) -> None:
    grades = judge(tab, toy_index)
    tab.download("save-judgments")
    tab.download("save-queries")
    names = [f"{toy_index.name}-judgments.csv", f"{toy_index.name}-queries.csv"]
    assert sorted(tab.downloads) == names
    [query] = rows(tab.downloads[names[1]])
    assert query["query"] == toy_index.query_text
    judged = rows(tab.downloads[names[0]])
    assert {row["query_id"] for row in judged} == {query["query_id"]}
    assert {row["doc_id"]: int(row["judgment"]) for row in judged} == grades
    for name in names:
        (tmp_path / name).write_text(tab.downloads[name])
    assert read_judgement_file(tmp_path / names[0]).grades == {query["query_id"]: grades}
    assert read_query_file(tmp_path / names[1]).keys() == {query["query_id"]}
    with open_tab(browser, proxy_url) as other:
        other.open(index=toy_index.name, text=toy_index.query_text)
        other.find("files").set_input_files([tmp_path / name for name in names])
        other.page.get_by_text(f"{len(grades)} judgements loaded.").wait_for()
        quality = ".quality .value b"
        assert other.page.locator(quality).all_inner_texts() == tab.page.locator(quality).all_inner_texts()


def test_a_file_that_is_wrong_is_named_with_its_line(tab: Tab, toy_index: ToyIndex, tmp_path: Path) -> None:
    tab.open(index=toy_index.name, text=toy_index.query_text)
    file = tmp_path / "mine.csv"
    for content, words in (
        ("a,b\n1,2\n", "mine.csv, line 1: expected the columns query_id,doc_id,judgment or query_id,query."),
        ("query_id,doc_id,judgment\nq1,d,1\n", "mine.csv, line 2: no query has the id q1."),
        ("query_id,doc_id,judgment\nq1,d\n", "mine.csv, line 2: expected 3 columns, found 2."),
        ('query_id,query\nq1,"x\n', "mine.csv, line 2: a quotation mark is not closed."),
    ):
        file.write_text(content)
        tab.find("files").set_input_files(file)
        tab.page.get_by_text(words).wait_for(timeout=5_000)


def test_all_are_forgotten_if_a_person_confirms(
    browser: Browser, proxy_url: str, toy_index: ToyIndex
) -> None:
    with open_tab(browser, proxy_url) as tab:
        grades = judge(tab, toy_index)
        tab.find("forget").click()
        assert f"{len(grades)} judgements" in tab.find("judged-count").inner_text()
        assert tab.wrong == [f"dialog: Forget all {len(grades)} judgements of {toy_index.name}?"]
        tab.wrong.clear()


def test_what_no_version_of_the_page_wrote_is_left_out(tab: Tab, toy_index: ToyIndex) -> None:
    tab.open()
    for kept in ("nonsense", "7", "null", '{"q": 7}', '{"q": {"d": "x"}}'):
        tab.page.evaluate("([name, kept]) => localStorage.setItem(`twinrank.judgements.${name}`, kept)",
                          [toy_index.name, kept])  # fmt: skip
        tab.open(index=toy_index.name, text=toy_index.query_text)
        assert len(tab.column("twinrank")) == 10
        assert "None yet" in tab.find("judged-count").inner_text()

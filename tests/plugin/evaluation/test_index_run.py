"""`twinrank evaluate INDEX` on a toy index: the real server, the real model, the real proxy."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from plugin.commands.main import main
from plugin.compare.placeholders import fill_placeholders
from plugin.evaluation.index_run import SearchBodyError, make_body_builder
from reranker.query_files import EvaluationQuery
from tests.support.indices.toy_collection import QUERIES
from tests.support.indices.toy_shop import ToyShop

pytestmark = pytest.mark.opensearch_2_19

BODY = {"query": {"match": {"text": "x"}}}


def test_a_text_is_looked_for_in_the_fields() -> None:
    build = make_body_builder({"q": EvaluationQuery("red")}, ("title", "text"), 10, None)
    words = {"multi_match": {"query": "red", "fields": ["title", "text"]}}
    assert build("q") == {"query": words, "_source": ["title", "text"], "from": 0, "size": 10}
    build = make_body_builder({"q": EvaluationQuery("red")}, (), 10, None)
    assert build("q") == {"query": {"multi_match": {"query": "red"}}, "_source": True, "from": 0, "size": 10}


def test_a_query_with_a_body_is_searched_by_it() -> None:
    given = {**BODY, "from": 30, "size": 3, "sort": ["_score"]}
    build = make_body_builder({"q": EvaluationQuery("red", given)}, ("title",), 10, {"query": "%queryText%"})
    assert build("q") == {**BODY, "sort": ["_score"], "from": 0, "size": 10}


def test_a_template_is_filled_wherever_its_placeholder_is() -> None:
    template: dict[str, Any] = {"query": {"bool": {"should": [{"match": {"a": "%queryText% x"}}, 1, None]}}}
    filled = {"query": {"bool": {"should": [{"match": {"a": 'a "b" x'}}, 1, None]}}}
    assert fill_placeholders(template, 'a "b"') == filled
    assert fill_placeholders("%SearchText%", "a") == "a"
    with pytest.raises(SearchBodyError, match="expected a search with %queryText%"):
        make_body_builder({}, (), 10, BODY)


def evaluate(shop: ToyShop, *arguments: str) -> Result:
    return CliRunner().invoke(
        main, ["evaluate", shop.index, *arguments, "--upstream", shop.url, "--proxy", shop.proxy]
    )


@pytest.mark.live
def test_an_index_is_measured_as_it_is(shop: ToyShop, tmp_path: Path) -> None:
    queries, judgments = shop.write_csv(tmp_path)
    result = evaluate(shop, "--queries", str(queries), "--judgments", str(judgments), "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["collection"], found["queries"]) == (shop.index, len(QUERIES))
    assert found["statuses"] == {"applied": len(QUERIES)}
    assert found["bundles"] == [shop.bundle]
    assert found["reranked"]["ndcg@10"] > found["first_stage"]["ndcg@10"]
    assert found["ndcg@10_difference"]["low"] <= found["ndcg@10_difference"]["mean"]
    first = found["results"][0]
    assert (first["query_id"], first["query"]) == ("q0", QUERIES["q0"][0])
    assert {hit["_id"] for hit in first["twinrank"]} == {hit["_id"] for hit in first["opensearch"]}
    assert all(hit["title"] != hit["_id"] for hit in first["twinrank"])


@pytest.mark.live
def test_the_best_and_the_worst_queries_are_shown_with_both_pages(shop: ToyShop, tmp_path: Path) -> None:
    queries, judgments = shop.write_csv(tmp_path)
    files = ("--queries", str(queries), "--judgments", str(judgments))
    shown = evaluate(shop, *files).stdout
    assert "The queries that gained most" in shown
    assert "OpenSearch alone" in shown
    assert "won / lost / tied" in shown
    few = evaluate(shop, *files, "--show", "0").stdout
    assert "gained most" not in few
    assert "nDCG@10" in few


@pytest.mark.live
def test_every_form_of_the_files_gives_the_same(shop: ToyShop, tmp_path: Path) -> None:
    queries, judgments = shop.write_csv(tmp_path)
    topics, qrels, exported = tmp_path / "topics", tmp_path / "qrels", tmp_path / "quepid.csv"
    topics.write_text(
        "".join(f"<top>\n<num> Number: {id_}\n<title> {text}\n</top>\n" for id_, (text, _) in QUERIES.items())
    )
    rows = [
        (id_, text, f"d{n}", grade) for id_, (text, grades) in QUERIES.items() for n, grade in grades.items()
    ]
    qrels.write_text("".join(f"{id_} 0 {document} {grade}\n" for id_, _, document, grade in rows))
    with exported.open("w", newline="") as file:
        csv.writer(file).writerows([("query", "docid", "rating"), *(row[1:] for row in rows)])
    bodies, template = tmp_path / "bodies.jsonl", tmp_path / "body.json"
    search: dict[str, Any] = {"query": {"match": {"text": "%queryText%"}}}
    bodies.write_text(
        "".join(
            json.dumps({"query_id": id_, "query": text, "body": fill_placeholders(search, text)}) + "\n"
            for id_, (text, _) in QUERIES.items()
        )
    )
    template.write_text(json.dumps(search))
    forms = [
        ("--queries", str(queries), "--judgments", str(judgments)),
        ("--queries", str(shop.folder)),
        ("--queries", str(topics), "--judgments", str(qrels)),
        ("--judgments", str(exported)),
        ("--queries", str(bodies), "--judgments", str(judgments)),
        ("--queries", str(queries), "--judgments", str(judgments), "--body", str(template)),
    ]
    found = []
    for form in forms:
        result = evaluate(shop, *form, "--json")
        assert result.exit_code == 0, result.output
        found.append(json.loads(result.stdout)["reranked"])
    assert found == [found[0]] * len(forms)


@pytest.mark.live
def test_what_cannot_be_measured_is_told(shop: ToyShop, tmp_path: Path) -> None:
    queries, judgments = shop.write_csv(tmp_path)
    with judgments.open("a") as file:
        file.write("q0,gone,1\nq99,d1,1\n")
    with queries.open("a") as file:
        file.write("q77,nobody judged this\n")
    told = evaluate(shop, "--queries", str(queries), "--judgments", str(judgments)).stderr
    assert f"judged documents are in {shop.index}" in told
    assert f"note: 1 of {len(QUERIES) + 1} queries have no judgement in {judgments}" in told
    assert f"note: 1 of {len(QUERIES) + 1} judged queries are not in {queries}" in told
    without = evaluate(shop, "--judgments", str(judgments))
    assert (without.exit_code, "expected --queries FILE" in without.stderr) == (1, True)
    judgments.write_text("query_id,doc_id,judgment\nx,d1,1\n")
    none = evaluate(shop, "--queries", str(queries), "--judgments", str(judgments))
    assert none.exit_code == 1
    assert "found none: the first query is 'q0', the first judged one is 'x'" in none.stderr
    judgments.write_text("query_id,doc_id,judgment\nq0,d1,much\n")
    wrong = evaluate(shop, "--queries", str(queries), "--judgments", str(judgments))
    assert (wrong.exit_code, f"{judgments}, line 2, column 3: expected" in wrong.stderr) == (1, True)
    judgments.write_text("query_id,doc_id,judgment\nq0,d1,1\n")
    template = tmp_path / "body.json"
    template.write_text('{"query": {"nosuch": "%queryText%"}}')
    refused = evaluate(
        shop, "--queries", str(queries), "--judgments", str(judgments), "--body", str(template)
    )
    assert (refused.exit_code, "query q0: " in refused.stderr, "nosuch" in refused.stderr) == (1, True, True)


def test_an_index_without_judgements_is_a_plain_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["evaluate", "nosuch"])
    assert result.exit_code == 1
    assert "expected an index with --queries FILE and --judgments FILE, or a folder" in result.stderr
    missing = CliRunner().invoke(main, ["evaluate", "x", "--judgments", str(tmp_path / "nosuch")])
    assert (missing.exit_code, "--judgments: expected a file, found no" in missing.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--analyzer", "english", "--queries", "x"), "--analyzer is an option for a FOLDER in BEIR layout"),
        (("--field", "title"), "--field is an option for an INDEX"),
    ],
)
def test_options_of_the_other_kind_are_refused(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = CliRunner().invoke(main, ["evaluate", str(tmp_path), *arguments])
    assert (result.exit_code, message in result.stderr) == (2, True)

"""`twinrank evaluate` on a toy collection: the real server, the real model, the real proxy."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from opensearchpy import OpenSearch

from plugin.commands.main import main
from plugin.evaluation.collection import Collection
from plugin.evaluation.evaluate import Evaluation, build_search_body, evaluate
from plugin.evaluation.measures import compare, measure
from plugin.evaluation.report import MARKDOWN_HEAD, build_table, format_markdown
from plugin.upstream.search_client import SearchClient
from tests.support.indices.toy_collection import DOCUMENTS, QUERIES, write_toy_collection
from tests.support.indices.toy_index import ToyIndex

pytestmark = pytest.mark.opensearch_2_19


@pytest.mark.live
def test_the_command_measures_both_orders_on_the_real_path(
    tmp_path: Path, opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    arguments = ["--upstream", opensearch_url, "--index", index_name, "--analyzer", "english", "--json"]
    result = CliRunner().invoke(main, ["evaluate", str(write_toy_collection(tmp_path)), *arguments])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["documents"], found["queries"]) == (len(DOCUMENTS), len(QUERIES))
    assert found["statuses"] == {"applied": len(QUERIES)}
    assert found["reranked"]["ndcg@10"] > found["first_stage"]["ndcg@10"]
    assert found["reranked"]["bad@10"] <= found["first_stage"]["bad@10"]
    assert client.count(index=index_name)["count"] == len(DOCUMENTS)
    mapping = client.indices.get_mapping(index=index_name)[index_name]["mappings"]
    assert mapping["properties"]["text"]["analyzer"] == "english"


@pytest.mark.live
def test_documents_to_leave_out_are_no_hits_of_that_query(
    toy_index: ToyIndex, opensearch_url: str, proxy_url: str
) -> None:
    first = toy_index.first_stage(2)
    qrels = {"q": {first[0]["_id"]: 1, first[1]["_id"]: 1}}
    left_out = {"q": {first[0]["_id"]}}
    collection = Collection("toy", 130, ("text",), {"q": toy_index.query_text}, qrels, left_out)
    with SearchClient(opensearch_url) as straight, SearchClient(proxy_url) as proxied:
        found = evaluate(collection, straight, proxied, toy_index.name)
    assert found.statuses == {"applied": 1}
    assert found.first_stage.rr == pytest.approx([1.0])  # the second hit has moved up
    assert found.first_stage.ndcg[0] < 1  # and the first one is not found


@pytest.mark.live
def test_a_proxy_that_does_nothing_does_not_pass_for_one(toy_index: ToyIndex, opensearch_url: str) -> None:
    collection = Collection("toy", 130, ("text",), {"q": toy_index.query_text}, {"q": {"0": 1}}, {})
    with SearchClient(opensearch_url) as client:
        assert evaluate(collection, client, client, toy_index.name).statuses == {"no proxy": 1}


def test_a_folder_without_a_corpus_is_a_plain_sentence(tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").write_text('{"_id":"q","text":"t"}\n')
    (tmp_path / "qrels.tsv").write_text("q\td\t1\n")
    result = CliRunner().invoke(main, ["evaluate", str(tmp_path)])
    assert result.exit_code == 1
    assert "found no corpus.jsonl, plain or gzipped" in result.stderr
    assert "Traceback" not in result.output


def test_titles_are_searched_where_there_are_any() -> None:
    assert build_search_body("t", ("text",), "best_fields")["query"] == {"match": {"text": "t"}}
    query = build_search_body("t", ("title", "text"), "most_fields")["query"]
    assert query == {"multi_match": {"query": "t", "fields": ["title", "text"], "type": "most_fields"}}


def _evaluation(qrels: dict[str, dict[str, int]]) -> Evaluation:
    collection = Collection("toy", 2, ("text",), dict.fromkeys(qrels, "text"), qrels, {})
    before, after = measure(qrels, {"q": ["b", "a"]}), measure(qrels, {"q": ["a", "b"]})
    ndcg, rr = compare(before.ndcg, after.ndcg), compare(before.rr, after.rr)
    return Evaluation(collection, 1, before, after, ndcg, rr, {"applied": 1})


def test_the_markdown_row_fits_its_head() -> None:
    row = format_markdown(_evaluation({"q": {"a": 1, "b": 0}}))
    assert row.count("|") == MARKDOWN_HEAD.splitlines()[0].count("|")
    assert "| 0.631 | 1.000 | +0.369" in row
    assert "1 / 0 / 0" in row
    assert build_table(_evaluation({"q": {"a": 1, "b": 0}})).row_count == 5


def test_without_negative_judgements_bad_hits_are_not_claimed_to_be_none() -> None:
    assert "n/a" in format_markdown(_evaluation({"q": {"a": 1}}))

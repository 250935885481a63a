"""The lab's data on a real server: both orders, scores, sliders, coverage, and errors with their place."""

import json
from typing import Any

import pytest
from opensearchpy import OpenSearch

from plugin.lab.question import MAX_HITS
from tests.live.conftest import MakeIndex
from tests.support.http.raw_http import RawAnswer, ask
from tests.support.indices.toy_index import ToyIndex

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
LAB = "/_plugins/_rerank/lab"
NO_FUSION = {"fusion": {"weight": 0, "feedback": 0, "smoothing": 0}}


def post(url: str, index: str, **question: object) -> RawAnswer:
    content = json.dumps(question).encode()
    return ask(url, "POST", f"{LAB}/search/{index}", content, {"Content-Type": "application/json"})


def search(url: str, index: str, **question: object) -> dict[str, Any]:
    """Return the answer to a question that is answered."""
    answer = post(url, index, **question)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = json.loads(answer.body)
    return found


def get(url: str, path: str) -> dict[str, Any]:
    answer = ask(url, "GET", f"{LAB}/{path}")
    assert answer.status == 200, answer.body
    found: dict[str, Any] = json.loads(answer.body)
    return found


def columns(found: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return the ids in both orders."""
    sides = (found["orders"][side] for side in ("opensearch", "twinrank"))
    straight, reranked = ([found["documents"][hit["key"]]["id"] for hit in side] for side in sides)
    return straight, reranked


def test_both_orders_with_their_scores(proxy_url: str, toy_index: ToyIndex) -> None:
    found = search(proxy_url, toy_index.name, text=toy_index.query_text)
    straight, reranked = columns(found)
    assert straight == [hit["_id"] for hit in toy_index.first_stage(10)]
    assert reranked == toy_index.expected_order()[:10]
    assert (found["applied"], found["skipped"], found["notes"]) == (True, None, [])
    assert found["query"] == toy_index.query_text
    totals = [hit["scores"]["total"] for hit in found["orders"]["twinrank"]]
    assert totals == sorted(totals, reverse=True)
    for place, hit in enumerate(found["orders"]["twinrank"], 1):
        assert hit["scores"]["rank"] == place
        assert hit["scores"]["why"]
        parts = sum(part["adds"] for part in hit["scores"]["parts"])
        assert parts == pytest.approx(hit["scores"]["total"], abs=0.01)
    assert "rerank" not in found["documents"][found["orders"]["twinrank"][0]["key"]]["source"]


def test_sliders_change_the_order_of_this_search_alone(proxy_url: str, toy_index: ToyIndex) -> None:
    plain = search(proxy_url, toy_index.name, text=toy_index.query_text)
    still = search(proxy_url, toy_index.name, text=toy_index.query_text, rerank=NO_FUSION)
    straight, reranked = columns(still)
    assert straight == reranked == [hit["_id"] for hit in toy_index.first_stage(10)]
    assert still["used"]["weight"] == 0
    small = search(proxy_url, toy_index.name, text=toy_index.query_text, rerank={"window_size": 5})
    assert columns(small)[1] == [*toy_index.expected_order(5), *straight[5:]]
    assert [hit["scores"] is None for hit in small["orders"]["twinrank"]] == [False] * 5 + [True] * 5
    assert columns(search(proxy_url, toy_index.name, text=toy_index.query_text)) == columns(plain)


def test_a_window_of_one_hit(proxy_url: str, toy_index: ToyIndex) -> None:
    found = search(proxy_url, toy_index.name, text=toy_index.query_text, rerank={"window_size": 1})
    straight, reranked = columns(found)
    assert straight == reranked
    assert found["orders"]["twinrank"][0]["scores"]["why"] == "Stays at 1."


@pytest.mark.parametrize(
    ("rerank", "word"),
    [
        ({"window_size": 0}, "ext.rerank.window_size"),
        ({"fusion": {"weight": 41}}, "ext.rerank.fusion.weight"),
        ({"fusion": []}, "ext.rerank.fusion"),
        ({"windowsize": 3}, "did you mean"),
    ],
)
def test_a_value_that_a_slider_cannot_have_is_refused(
    proxy_url: str, toy_index: ToyIndex, rerank: dict[str, object], word: str
) -> None:
    answer = post(proxy_url, toy_index.name, text="and", rerank=rerank)
    assert answer.status == 400
    assert word in json.loads(answer.body)["error"]["reason"]


def test_a_whole_body_is_run_as_it_is(proxy_url: str, toy_index: ToyIndex) -> None:
    body = json.dumps({"query": toy_index.query, "size": 7, "from": 2})
    found = search(proxy_url, toy_index.name, body=body)
    straight, reranked = columns(found)
    assert straight == [hit["_id"] for hit in toy_index.first_stage(9)][2:]
    assert reranked == toy_index.expected_order()[2:9]
    assert (found["from"], found["query"]) == (2, toy_index.query_text)


def test_a_bodys_own_controls_hold_until_a_slider_is_moved(proxy_url: str, toy_index: ToyIndex) -> None:
    body = json.dumps({"query": toy_index.query, "ext": {"rerank": NO_FUSION}})
    straight, reranked = columns(search(proxy_url, toy_index.name, body=body))
    assert straight == reranked
    weight = toy_index.bundle.manifest.fusion.weight
    moved = search(proxy_url, toy_index.name, body=body, rerank={"fusion": {"weight": weight}})
    assert columns(moved)[1] == toy_index.expected_order()[:10]


def test_an_error_in_a_body_has_its_line_and_column(proxy_url: str, toy_index: ToyIndex) -> None:
    answer = post(proxy_url, toy_index.name, body='{\n  "query" {}\n}')
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["line"], error["col"]) == (400, 2, 11)
    assert error["reason"].startswith("Line 2, column 11: ")


@pytest.mark.parametrize(("index", "question", "status", "words"), [
    ("no-such-index", {"text": "alpha"}, 404, "no such index [no-such-index]"),
    ("A%20B", {"text": "alpha"}, 404, "no such index"),
    ("_all", {"body": '{"query": {"nonsense": {}}}'}, 400, "unknown query [nonsense]"),
    ("_all", {"body": '{"size": "x"}'}, 400, ""),
])  # fmt: skip
def test_an_error_of_opensearch_is_passed_on_in_words(
    proxy_url: str, index: str, question: dict[str, object], status: int, words: str
) -> None:
    answer = post(proxy_url, index, **question)
    assert answer.status == status
    assert words in json.loads(answer.body)["error"]["reason"]


def test_more_hits_than_the_page_shows_are_left_out_and_said_so(proxy_url: str, toy_index: ToyIndex) -> None:
    body = json.dumps({"query": {"match_all": {}}, "size": MAX_HITS + 1})
    found = search(proxy_url, toy_index.name, body=body)
    assert len(found["orders"]["opensearch"]) == MAX_HITS
    assert "shows 100 hits of the 101" in found["notes"][0]


def test_a_search_without_hits(proxy_url: str, toy_index: ToyIndex) -> None:
    found = search(proxy_url, toy_index.name, text="qqqqqq")
    assert columns(found) == ([], [])


def test_a_search_that_is_not_reranked_has_cause_and_remedy(
    client: OpenSearch, proxy_url: str, index_name: str
) -> None:
    client.index(index=index_name, id="1", body={"text": "alpha"}, refresh=True)
    found = search(proxy_url, index_name, text="alpha", rerank={"window_size": 5})
    assert columns(found) == (["1"], ["1"])
    assert found["skipped"]["reason"] == "not_enabled"
    assert f"`twinrank enable {index_name} --field FIELD`" in found["skipped"]["remedy"]


def test_a_title_field_is_shown_if_the_hit_has_it(
    client: OpenSearch, proxy_url: str, make_index: MakeIndex
) -> None:
    name = make_index()
    client.index(index=name, id="1", body={"text": "alpha one", "shop": {"name": "The name"}})
    client.index(index=name, id="2", body={"text": "alpha two"}, refresh=True)
    found = search(proxy_url, name, text="alpha", title_field="shop.name")
    assert found["documents"][f"{name}/1"]["title"] == "The name"
    assert found["documents"][f"{name}/2"]["title"] == "alpha two"
    assert get(proxy_url, f"indices/{name}")["title_fields"] == ["shop.name", "text"]


def test_an_index_is_described_with_its_coverage(proxy_url: str, toy_index: ToyIndex) -> None:
    facts = get(proxy_url, f"indices/{toy_index.name}")
    assert (facts["documents"], facts["with_vector"]) == (toy_index.num_documents, toy_index.num_documents)
    assert facts["settings"]["weight"] == toy_index.bundle.manifest.fusion.weight
    assert facts["settings"]["window_size"] == 100
    assert facts["settings"]["max_window"] == 10_000
    assert facts["skipped"] is None


def test_an_empty_index_and_one_without_settings(
    client: OpenSearch, proxy_url: str, make_index: MakeIndex, index_name: str
) -> None:
    empty = get(proxy_url, f"indices/{make_index()}")
    assert (empty["documents"], empty["with_vector"], empty["skipped"]) == (0, 0, None)
    client.indices.create(index=index_name)
    plain = get(proxy_url, f"indices/{index_name}")
    assert (plain["documents"], plain["settings"]) == (0, None)
    assert plain["skipped"]["reason"] == "not_enabled"


def test_an_index_that_is_not_there_is_a_404(proxy_url: str) -> None:
    answer = ask(proxy_url, "GET", f"{LAB}/indices/no-such-index")
    assert answer.status == 404
    assert "no-such-index" in json.loads(answer.body)["error"]["reason"]


def test_indices_with_settings_are_listed_with_their_aliases(
    client: OpenSearch, proxy_url: str, make_index: MakeIndex, index_name: str
) -> None:
    name = make_index()
    client.indices.put_alias(index=name, name=f"{name}-alias")
    client.indices.create(index=index_name)
    listed = {each["name"]: each["enabled"] for each in get(proxy_url, "indices")["indices"]}
    assert listed[name] is listed[f"{name}-alias"] is True
    assert index_name not in listed

"""Records of searches on a real OpenSearch: id by id what clients were shown, whatever way a search took."""

import gzip
import json
import uuid
from itertools import count
from typing import Any
from urllib.parse import quote

import pytest
from opensearchpy import OpenSearch

from plugin.ubi.indices import EVENTS, INDEX_SETTINGS, QUERIES, read_mapping
from tests.live.ubi.conftest import ReadRecords, create_indices
from tests.support.http.raw_http import RawAnswer, ask, ids, search
from tests.support.indices.toy_index import ToyIndex, index_body
from tests.support.searches.several_searches import NDJSON, item_ids, items, lines, msearch, timeless

pytestmark = pytest.mark.live

JSON = {"Content-Type": "application/json"}

_numbers = count()


def new_id() -> str:
    return f"q{next(_numbers)}-{uuid.uuid4().hex[:8]}"


def with_ubi(body: dict[str, Any], query_id: str, **members: Any) -> dict[str, Any]:  # noqa: ANN401  # any JSON
    ext = {**body.get("ext", {}), "ubi": {"query_id": query_id, "user_query": "words", **members}}
    return body | {"ext": ext}


def shown_ids(answer: RawAnswer, query_id: str) -> list[str]:
    assert answer.status == 200, answer.body
    assert json.loads(answer.body)["ext"]["ubi"] == {"query_id": query_id}
    return ids(answer)


@pytest.mark.parametrize(
    ("extra", "outcome"),
    [
        ({}, "applied"),
        ({"ext": {"rerank": {"execution": "cluster"}}}, "applied"),
        ({"highlight": {"fields": {"text": {}}}}, "applied"),
        ({"ext": {"rerank": {"explain": True}}}, "applied"),
        ({"sort": ["n"]}, "sort"),
        ({"ext": {"rerank": {"enabled": False}}}, "disabled"),
        ({"_source": False}, "applied"),
    ],
    ids=str,
)
def test_each_page_is_recorded_as_it_was_shown(
    proxy_url: str, toy_index: ToyIndex, read_records: ReadRecords, extra: dict[str, Any], outcome: str
) -> None:
    pages: dict[str, list[str]] = {}
    for start in (0, 7, 14, 95):
        body, query_id = {"query": toy_index.query, "from": start, "size": 7, **extra}, new_id()
        pages[query_id] = shown_ids(search(proxy_url, toy_index.name, with_ubi(body, query_id)), query_id)
    records = read_records(list(pages))
    assert {each: [one["query_response_hit_ids"] for one in found] for each, found in records.items()} == {
        each: [page] for each, page in pages.items()
    }
    assert len({each for page in pages.values() for each in page}) == 28, "no hit is on two pages"
    assert {one["query_attributes"]["twinrank.outcome"] for found in records.values() for one in found} == {
        outcome
    }


def test_a_record_can_be_found_by_its_attributes(
    proxy_url: str, toy_index: ToyIndex, client: OpenSearch, read_records: ReadRecords
) -> None:
    query_id = new_id()
    members = {"client_id": "c", "application": "shop", "query_attributes": {"place": "home", "n": 3}}
    body = with_ubi({"query": toy_index.query, "from": 2, "size": 3}, query_id, **members)
    search(proxy_url, toy_index.name, body)
    (record,) = read_records([query_id])[query_id]
    assert (record["client_id"], record["application"], record["user_query"]) == ("c", "shop", "words")
    assert json.loads(record["query"]) == body
    attributes = record["query_attributes"]
    assert (attributes["place"], attributes["n"], attributes["twinrank.from"]) == ("home", "3", "2")
    assert attributes["twinrank.window"] == "100"
    by_outcome = {"term": {"query_attributes.twinrank.outcome": "applied"}}
    found = client.search(index=QUERIES, body={"query": {"bool": {"filter": [by_outcome]}}})
    assert query_id in [hit["_source"]["query_id"] for hit in found["hits"]["hits"]]


def test_an_index_without_reranking_is_recorded_too(
    proxy_url: str, client: OpenSearch, index_name: str, read_records: ReadRecords
) -> None:
    for name in "ab":
        document = {"sku": {"id": f"s-{name}"}, "t": "x"}
        client.index(index=index_name, id=name, body=document, params={"refresh": "true"})
    query_id, by_sku, hidden = new_id(), new_id(), new_id()
    asked: dict[str, Any] = {"query": {"match_all": {}}}
    shown = shown_ids(search(proxy_url, index_name, with_ubi(asked, query_id)), query_id)
    search(proxy_url, index_name, with_ubi(asked, by_sku, object_id_field="sku.id"))
    body = asked | {"_source": ["t"]}
    plain = search(proxy_url, index_name, body)
    answer = search(proxy_url, index_name, with_ubi(body, hidden, object_id_field="sku.id"))
    records = read_records([query_id, by_sku, hidden])
    assert records[query_id][0]["query_response_hit_ids"] == shown
    expected = [f"s-{name}" for name in shown]
    assert records[by_sku][0]["query_response_hit_ids"] == expected
    assert records[hidden][0]["query_response_hit_ids"] == expected
    named = b',"ext":{"ubi":{"query_id":"%s"}}}' % hidden.encode()
    assert timeless(answer.body) == timeless(plain.body)[:-1] + named


@pytest.mark.parametrize("execution", ["sidecar", "cluster"])
@pytest.mark.parametrize(
    ("extra", "parameters"),
    [
        ({"_source": False}, ""),
        ({"_source": ["text"]}, ""),
        ({}, "?_source_excludes=n"),
        ({"_source": False, "highlight": {"fields": {"text": {}}}}, ""),
        ({"_source": False, "docvalue_fields": ["n"]}, ""),
        ({}, "?filter_path=hits.hits._source.text"),
        ({}, "?filter_path=-hits.hits._id"),
        ({"_source": False}, "?pretty"),
    ],
    ids=str,
)
def test_what_names_hits_is_not_shown_unless_it_is_asked_for(
    proxy_url: str,
    toy_index: ToyIndex,
    read_records: ReadRecords,
    execution: str,
    extra: dict[str, Any],
    parameters: str,
) -> None:
    query_id = new_id()
    body = {"query": toy_index.query, "size": 5, "ext": {"rerank": {"execution": execution}}, **extra}
    plain = search(proxy_url, toy_index.name, body, parameters)
    answer = search(proxy_url, toy_index.name, with_ubi(body, query_id, object_id_field="n"), parameters)
    whole = search(proxy_url, toy_index.name, body | {"_source": True})
    (record,) = read_records([query_id])[query_id]
    assert record["query_response_hit_ids"] == ids(whole)
    assert answer.rerank_status == plain.rerank_status
    shown = json.loads(answer.body)
    shown.pop("ext", None)
    expected = json.loads(plain.body)
    for each in (shown, expected):
        each.pop("took", None)
    assert shown == expected


def test_a_template_is_recorded_as_the_search_that_it_makes(
    proxy_url: str, toy_index: ToyIndex, read_records: ReadRecords
) -> None:
    query_id = new_id()
    source = with_ubi({"query": {"match": {"text": "{{words}}"}}, "size": 4}, "{{id}}")
    template = {"source": source, "params": {"words": toy_index.query_text, "id": query_id}}
    path = f"/{toy_index.name}/_search/template"
    answer = ask(proxy_url, "POST", path, json.dumps(template).encode(), NDJSON)
    assert answer.rerank_status.startswith("applied")
    shown = shown_ids(answer, query_id)
    (record,) = read_records([query_id])[query_id]
    assert record["query_response_hit_ids"] == shown
    assert json.loads(record["query"])["query"] == toy_index.query


def test_items_of_several_searches_are_recorded_each_by_itself(
    proxy_url: str, toy_index: ToyIndex, read_records: ReadRecords
) -> None:
    first, second, by_field = new_id(), new_id(), new_id()
    header, body = {"index": toy_index.name}, {"query": toy_index.query, "size": 6}
    asked = lines(
        header, with_ubi(body, first),
        header, body,
        header, with_ubi(body | {"sort": ["n"]}, second),
        header, with_ubi(body | {"_source": False}, by_field, object_id_field="n"),
    )  # fmt: skip
    answer = msearch(proxy_url, asked)
    pages = [item_ids(each) for each in items(answer)]
    assert not [each for each in items(answer) if "ext" in each]
    assert "fields" not in items(answer)[3]["hits"]["hits"][0]
    records = read_records([first, second, by_field])
    assert [records[each][0]["query_response_hit_ids"] for each in (first, second, by_field)] == [
        pages[0],
        pages[2],
        pages[3],
    ]
    assert [len(records[each]) for each in (first, second, by_field)] == [1, 1, 1]


@pytest.mark.parametrize("index", ["toy", "no-such-index"])
@pytest.mark.parametrize("ubi", [5, [], "q", {"query_id": 7}, {"user_query": []}, {"queryid": "q"}], ids=str)
def test_a_wrong_ubi_is_a_400_that_names_it(
    proxy_url: str, toy_index: ToyIndex, index: str, ubi: object
) -> None:
    answer = search(proxy_url, index, {"query": toy_index.query, "ext": {"ubi": ubi}})
    assert answer.status == 400
    assert json.loads(answer.body)["error"]["reason"].startswith("ext.ubi")


def test_a_huge_text_and_a_field_that_no_hit_has_are_recorded(
    proxy_url: str, toy_index: ToyIndex, read_records: ReadRecords
) -> None:
    query_id = new_id()
    members = {"user_query": "ü" * 200_000, "object_id_field": "no.such.field"}
    body = with_ubi({"query": toy_index.query, "_source": False}, query_id, **members)
    shown = shown_ids(search(proxy_url, toy_index.name, body), query_id)
    (record,) = read_records([query_id])[query_id]
    assert record["query_response_hit_ids"] == shown
    assert len(record["user_query"]) > 10_000


def test_the_command_makes_the_indices_that_the_plugin_makes(
    client: OpenSearch, opensearch_url: str, ubi_indices: None
) -> None:
    made = client.indices.get(index=f"{QUERIES},{EVENTS}")
    for index in (QUERIES, EVENTS):
        found, published = made[index]["mappings"], read_mapping(index)
        assert found["properties"].keys() == published["properties"].keys()
        settings = made[index]["settings"]["index"]
        assert {name: settings[name] for name in ("number_of_shards", "auto_expand_replicas")} == {
            "number_of_shards": str(INDEX_SETTINGS["number_of_shards"]),
            "auto_expand_replicas": INDEX_SETTINGS["auto_expand_replicas"],
        }
    assert made[QUERIES]["mappings"]["dynamic"] == "false"
    again = create_indices(opensearch_url)
    assert again.splitlines() == [f"{QUERIES} is there already", f"{EVENTS} is there already"]


def test_templates_of_several_searches_are_recorded(
    proxy_url: str, toy_index: ToyIndex, read_records: ReadRecords
) -> None:
    first, second = new_id(), new_id()
    header, params = {"index": toy_index.name}, {"words": toy_index.query_text}
    body = {"query": {"match": {"text": "{{words}}"}}, "size": 3}
    asked = lines(
        header, {"source": with_ubi(body, first), "params": params},
        header, {"source": body, "params": params},
        header, {"source": with_ubi(body | {"sort": ["n"]}, second), "params": params},
    )  # fmt: skip
    answer = ask(proxy_url, "POST", "/_msearch/template", asked, NDJSON)
    assert answer.status == 200, answer.body
    pages = [item_ids(each) for each in items(answer)]
    records = read_records([first, second])
    assert [records[each][0]["query_response_hit_ids"] for each in (first, second)] == [pages[0], pages[2]]


def test_other_forms_of_a_search_are_recorded(
    proxy_url: str, toy_index: ToyIndex, client: OpenSearch, read_records: ReadRecords
) -> None:
    """A scroll, a point in time, a body in the URL, and one in gzip."""
    asked = {"query": toy_index.query, "size": 4}
    shown: dict[str, list[str]] = {}
    scrolled, in_time, in_url, packed = (new_id() for _ in range(4))
    answer = search(proxy_url, toy_index.name, with_ubi(asked, scrolled), "?scroll=1m")
    shown[scrolled] = shown_ids(answer, scrolled)
    client.clear_scroll(scroll_id=json.loads(answer.body)["_scroll_id"])
    pit = client.create_pit(index=toy_index.name, params={"keep_alive": "1m"})["pit_id"]
    body = with_ubi(asked | {"pit": {"id": pit}}, in_time)
    sent = json.dumps(body).encode()
    shown[in_time] = shown_ids(ask(proxy_url, "POST", "/_search", sent, JSON), in_time)
    client.delete_pit(body={"pit_id": [pit]})
    source = quote(json.dumps(with_ubi(asked, in_url)), safe="")
    target = f"/{toy_index.name}/_search?source={source}&source_content_type=application/json"
    shown[in_url] = shown_ids(ask(proxy_url, "GET", target), in_url)
    zipped = gzip.compress(json.dumps(with_ubi(asked, packed)).encode())
    headers = {**JSON, "Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    shown[packed] = shown_ids(ask(proxy_url, "POST", f"/{toy_index.name}/_search", zipped, headers), packed)
    records = read_records(list(shown))
    found = {each: [one["query_response_hit_ids"] for one in those] for each, those in records.items()}
    assert found == {each: [page] for each, page in shown.items()}


def test_pages_with_pins_are_recorded_as_they_were_shown(
    proxy_url: str, toy_index: ToyIndex, client: OpenSearch, index_name: str, read_records: ReadRecords
) -> None:
    """Reranked or not; the record has the client's own search, not the one for the other hits."""
    rules = [{"then": {"pin": [{"id": "20", "position": 3}, {"id": "3", "position": 9}], "hide": ["5"]}}]
    client.indices.create(index=index_name, body=index_body(toy_index.bundle, rules=rules))
    for hit in toy_index.first_stage(30):
        client.index(index=index_name, id=hit["_id"], body=hit["_source"], refresh=True)
    pages, bodies = {}, {}
    for start in (0, 7, 14, 21, 28):
        for enabled in (True, False):
            controls = {"rerank": {"enabled": enabled}}
            query_id = new_id()
            bodies[query_id] = {"query": toy_index.query, "from": start, "size": 7, "ext": controls}
            answer = search(proxy_url, index_name, with_ubi(bodies[query_id], query_id))
            assert answer.rerank_status.count("rules=hide:1,pin:") == 1
            pages[query_id] = shown_ids(answer, query_id)
    records = read_records(list(pages))
    for query_id, (record,) in records.items():
        assert record["query_response_hit_ids"] == pages[query_id]
        assert record["query_attributes"]["twinrank.from"] == str(bodies[query_id]["from"])
        assert json.loads(record["query"]) == with_ubi(bodies[query_id], query_id)

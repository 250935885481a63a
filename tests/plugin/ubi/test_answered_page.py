"""An answer of which a record is made: the ids that it shows, what is cut out again, and the `query_id`."""

import json
from typing import Any

import pytest

from opensearch.search.request import SearchRequest
from plugin.ubi.answered_page import rewrite_page
from plugin.ubi.object_ids import ObjectIds, request_ids


def request(target: str = "/books/_search", **body: Any) -> SearchRequest:  # noqa: ANN401  # any JSON
    return SearchRequest.parse(target, json.dumps(body).encode())


def answer(*hits: dict[str, Any], **members: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"took": 1, "timed_out": False, "hits": {"max_score": 1.0, "hits": list(hits)}, **members}


def rewritten(
    body: object, ids: ObjectIds | None = None, query_id: str | None = "q"
) -> tuple[dict[str, Any], list[str]]:
    found = rewrite_page(json.dumps(body, separators=(",", ":")).encode(), ids or ObjectIds(), query_id)
    assert found is not None
    return json.loads(found[0]), found[1]


def test_ids_are_in_the_order_shown() -> None:
    shown, ids = rewritten(answer({"_id": "b"}, {"_id": "a"}))
    assert ids == ["b", "a"]
    assert list(shown)[-1] == "ext"
    assert shown["ext"] == {"ubi": {"query_id": "q"}}


def test_the_bytes_are_those_that_the_plugin_would_write() -> None:
    """Recorded in the plugin's README: the answer of OpenSearch, and `ext` as the last member."""
    body = b'{"took":3,"hits":{"hits":[{"_id":"968447","_source":{"id":"968447"}}]}}'
    found = rewrite_page(body, ObjectIds(), "12300d16cb")
    assert found is not None
    assert found[0] == body[:-1] + b',"ext":{"ubi":{"query_id":"12300d16cb"}}}'


def test_pretty_stays_pretty() -> None:
    body = b'{\n  "took" : 1,\n  "hits" : {\n    "hits" : [ ]\n  }\n}\n'
    found = rewrite_page(body, ObjectIds(), "q")
    assert found is not None
    tail = b',\n  "ext" : {\n    "ubi" : {\n      "query_id" : "q"\n    }\n  }\n}\n'
    assert found[0] == body[:-3] + tail


def test_the_rest_of_ext_stays() -> None:
    shown, _ = rewritten(answer(ext={"rerank": {"window_size": 7}}))
    assert shown["ext"] == {"rerank": {"window_size": 7}, "ubi": {"query_id": "q"}}


def test_without_a_query_id_the_answer_is_the_same() -> None:
    body = answer({"_id": "a", "_source": {"t": "x"}})
    assert rewritten(body, query_id=None) == (body, ["a"])


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"no", b'{"error":{},"status":400}', b'{"hits":{"hits":7}}', b"\xff"]
)
def test_what_is_no_page_is_none(body: bytes) -> None:
    assert rewrite_page(body, ObjectIds(), "q") is None


def test_half_a_character_stays_as_it_is() -> None:
    body = rb'{"hits":{"hits":[{"_id":"a","_source":{"sku":"7","t":"\ud800"}}]}}'
    found = rewrite_page(body, ObjectIds("sku"), None)
    assert found == (body, ["7"])


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"sku": {"id": "x"}}, "x"),
        ({"sku.id": "x"}, "x"),
        ({"sku": {"id": 12}}, "12"),
        ({"sku": {"id": 1.5}}, "1.5"),
        ({"sku": {"id": False}}, "false"),
        ({"sku": {"id": ["x", "y"]}}, "x"),
        ({"sku": [{"id": "x"}, {"id": "y"}]}, "x"),
        ({"sku": {"id": None}}, "1"),
        ({"sku": {"id": {}}}, "1"),
        ({"sku": "x"}, "1"),
        ({}, "1"),
    ],
    ids=str,
)
def test_a_field_of_the_source_names_a_hit_else_its_id(source: dict[str, Any], expected: str) -> None:
    assert rewritten(answer({"_id": "1", "_source": source}), ObjectIds("sku.id"))[1] == [expected]


def test_a_hit_without_any_name_keeps_its_place() -> None:
    assert rewritten(answer({"_id": "1"}, {}, {"_id": "2"}))[1] == ["1", "", "2"]


def test_a_field_is_asked_for_only_if_the_source_may_not_show_it() -> None:
    for asked in (request(), request(_source=True), request("/b/_search?_source=true", _source=True)):
        ids, sent = request_ids(asked, "sku")
        if asked.filters_source:
            continue
        assert (ids.added, sent.body) == (None, asked.body)


@pytest.mark.parametrize(
    "asked",
    [
        request(_source=False),
        request(_source=["t"]),
        request(_source={"excludes": ["s*"]}),
        request(_source=False, fields=["t"]),
        request("/b/_search?_source=t"),
        request("/b/_search?_source_excludes=sku"),
        request(stored_fields=["t"]),
    ],
)
def test_a_hidden_field_is_asked_for_and_cut_out_again(asked: SearchRequest) -> None:
    ids, sent = request_ids(asked, "sku")
    assert sent.member("fields") == [*(asked.member("fields") or []), "sku"]
    assert {name: raw for name, raw in sent.body.items() if name != "fields"} == {
        name: raw for name, raw in asked.body.items() if name != "fields"
    }
    shown, found = rewritten(answer({"_id": "1", "fields": {"t": ["x"], "sku": [7]}}), ids)
    assert found == ["7"]
    assert shown["hits"]["hits"] == [{"_id": "1", "fields": {"t": ["x"]}}]
    alone, _ = rewritten(answer({"_id": "1", "fields": {"sku": [7]}}), ids)
    assert alone["hits"]["hits"] == [{"_id": "1"}]


@pytest.mark.parametrize(
    "members",
    [{"fields": ["sku"]}, {"fields": ["s*"]}, {"docvalue_fields": [{"field": "sku"}]}],
    ids=str,
)
def test_what_the_client_asks_for_itself_stays(members: dict[str, Any]) -> None:
    asked = request(_source=False, **members)
    ids, sent = request_ids(asked, "sku")
    assert sent.body == asked.body
    hit = {"_id": "1", "fields": {"sku": ["x"]}}
    assert rewritten(answer(hit), ids) == (answer(hit, ext={"ubi": {"query_id": "q"}}), ["x"])


def test_a_filtered_answer_is_widened_by_the_id() -> None:
    ids, sent = request_ids(request("/b/_search?filter_path=took,hits.hits._source.t"), None)
    assert sent.parameters["filter_path"] == "took,hits.hits._source.t,hits.hits._id"
    shown, found = rewritten({"took": 1, "hits": {"hits": [{"_id": "a", "_source": {"t": 1}}]}}, ids, None)
    assert (shown, found) == ({"took": 1, "hits": {"hits": [{"_source": {"t": 1}}]}}, ["a"])


def test_a_filtered_hit_that_is_empty_then_goes() -> None:
    ids, _ = request_ids(request("/b/_search?filter_path=took,hits.hits._source.t"), None)
    shown, found = rewritten({"took": 1, "hits": {"hits": [{"_id": "a"}]}}, ids, None)
    assert (shown, found) == ({"took": 1}, ["a"])


def test_a_filter_that_shows_no_hits_stays() -> None:
    asked = request("/b/_search?filter_path=took")
    ids, sent = request_ids(asked, None)
    assert sent == asked
    assert rewritten({"took": 1}, ids, None) == ({"took": 1}, [])

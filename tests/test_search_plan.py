"""What becomes of a search: widened how, or passed through why."""

import json
from typing import Any

import pytest

from opensearch.search_plan import Plan, plan_search
from opensearch.search_request import NotUnderstoodError, SearchRequest
from opensearch.settings import RerankSettings
from opensearch.target import Skip, Target
from opensearch.widened_search import Asked, whole_window

SETTINGS = RerankSettings(model="tiny", source_fields=("text",))
QUERY: dict[str, Any] = {"match": {"text": "wait a bit"}}


def plan(body: object, target: str = "/books/_search", settings: RerankSettings = SETTINGS) -> Plan | Skip:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    here = Target(settings, {"books": (settings.field,)})
    return plan_search(SearchRequest.parse(target, data), here)


def planned(body: object, target: str = "/books/_search") -> Plan:
    found = plan(body, target)
    assert isinstance(found, Plan), found
    return found


def asked(body: object, target: str = "/books/_search") -> Asked:
    return whole_window(planned(body, target))


def test_a_plain_search_is_widened_to_the_window() -> None:
    found = planned({"query": QUERY, "size": 5})
    widened = whole_window(found)
    assert json.loads(widened.body) == {"query": QUERY, "size": 100, "from": 0}
    assert (widened.target, found.query_text) == ("/books/_search", "wait a bit")
    assert (found.page_start, found.page_end) == (0, 5)


def test_every_other_member_keeps_its_bytes() -> None:
    found = asked(
        b'{"query":{"match":{"text":{"query":"x","boost":1.10}}},"aggs":{ "n":{"max":{"field":"n"}}}}'
    )
    assert b'"boost":1.10' in found.body
    assert b'"aggs":{ "n":{"max":{"field":"n"}}}' in found.body


def test_parameters_win_over_the_body() -> None:
    found = planned(
        {"query": QUERY, "size": 5, "from": 1}, "/b/_search?size=3&from=20&preference=me%2F1&pretty"
    )
    assert (found.page_start, found.page_end) == (20, 23)
    assert whole_window(found).target == "/b/_search?preference=me%2F1&pretty=true"


def test_the_last_of_equal_parameters_wins() -> None:
    assert planned({"query": QUERY}, "/b/_search?size=3&size=7").page_end == 7


def test_a_page_across_the_edge_asks_for_its_own_end() -> None:
    assert json.loads(asked({"query": QUERY, "from": 95, "size": 10}).body)["size"] == 105


@pytest.mark.parametrize("wanted", [False, ["title"], "title", {"excludes": ["text"]}, []])
def test_where_the_source_is_filtered_the_vector_comes_by_doc_values(wanted: object) -> None:
    body = json.loads(asked({"query": QUERY, "_source": wanted, "docvalue_fields": ["year"]}).body)
    assert body["docvalue_fields"] == ["year", "rerank.vector"]
    assert body["_source"] == wanted


@pytest.mark.parametrize("target", ["/b/_search?_source=false", "/b/_search?_source_includes=title"])
def test_a_source_filter_in_the_url_counts_as_well(target: str) -> None:
    assert json.loads(asked({"query": QUERY}, target).body)["docvalue_fields"] == ["rerank.vector"]


@pytest.mark.parametrize("extra", [
    {"_source": ["rerank.vector"]}, {"_source": {"includes": ["rerank"]}},
    {"docvalue_fields": ["rerank.vector"]}, {"docvalue_fields": [{"field": "rerank.vector"}]},
    {"fields": ["rerank.vector"]},
])  # fmt: skip
def test_a_vector_asked_for_by_name_is_kept(extra: dict[str, Any]) -> None:
    assert planned({"query": QUERY, **extra}).keep_vector


SKIPPED: list[tuple[str, dict[str, Any] | bytes, str]] = [
    ("sort", {"query": QUERY, "sort": ["year"]}, "/b/_search"),
    ("sort_tie_breaker", {"query": QUERY, "sort": ["_score", "year"]}, "/b/_search"),
    ("sort_tie_breaker", {"query": QUERY, "sort": ["_score"]}, "/b/_search?sort=year:asc"),
    ("sort", {"query": QUERY}, "/b/_search?sort=year"),
    ("stored_fields", {"query": QUERY, "stored_fields": "_none_"}, "/b/_search"),
    ("max_result_window", {"query": QUERY, "from": 9_995}, "/b/_search"),
    ("slice", {"query": QUERY, "slice": {"id": 0, "max": 2}}, "/b/_search"),
    ("sort", {"query": QUERY, "sort": [{"_score": "asc"}]}, "/b/_search"),
    ("size", {"query": QUERY, "size": 0}, "/b/_search"),
    ("beyond_window", {"query": QUERY, "from": 100}, "/b/_search"),
    ("query_text", {"query": {"match_all": {}}}, "/b/_search"),
    ("query_text", {}, "/b/_search"),
    ("size", {"query": QUERY, "size": -1}, "/b/_search"),
    ("size", {"query": QUERY, "size": None}, "/b/_search"),
    ("size", {"query": QUERY}, "/b/_search?size=many"),
    ("search_after", {"query": QUERY, "search_after": [1]}, "/b/_search"),
    ("scroll", {"query": QUERY}, "/b/_search?scroll=1m"),
    ("search_pipeline", {"query": QUERY}, "/b/_search?search_pipeline=p"),
    ("search_pipeline", {"query": QUERY, "search_pipeline": {"request_processors": []}}, "/b/_search"),
    ("filter_path", {"query": QUERY}, "/b/_search?filter_path=hits.total"),
    ("docvalue_fields", {"query": QUERY, "_source": False, "docvalue_fields": ["a"] * 100}, "/b/_search"),
    ("tomorrows_key", {"query": QUERY, "tomorrows_key": 1}, "/b/_search"),
]


@pytest.mark.parametrize(("reason", "body", "target"), SKIPPED)
def test_passed_through(reason: str, body: dict[str, Any], target: str) -> None:
    assert plan(body, target) == Skip(reason)


@pytest.mark.parametrize(
    "sort", ["_score", ["_score"], [], [{"_score": "desc"}], {"_score": {"order": "desc"}}]
)
def test_sort_by_score_alone_is_reranked(sort: object) -> None:
    planned({"query": QUERY, "sort": sort})


@pytest.mark.parametrize("body", [b"{", b"[]", b"// a comment\n{}", b'{"a":1}{"b":2}', b"\xff"])
def test_what_is_no_json_object_is_not_understood(body: bytes) -> None:
    with pytest.raises(NotUnderstoodError) as raised:
        SearchRequest.parse("/b/_search", body)
    assert raised.value.reason == "body"


@pytest.mark.parametrize("target", ["/b/_search?a=1;b=2", "/b/_search?q=%FF"])
def test_parameters_of_a_rare_form_are_not_understood(target: str) -> None:
    with pytest.raises(NotUnderstoodError) as raised:
        SearchRequest.parse(target, b"")
    assert raised.value.reason == "parameters"


def test_disabled_settings_pass_everything_through() -> None:
    settings = RerankSettings(model="tiny", source_fields=("text",), enabled=False)
    assert plan({"query": QUERY}, settings=settings) == Skip("disabled")


def test_members_nested_beyond_reason_are_passed_through() -> None:
    deep = b'{"query":' + b'{"bool":{"must":' * 5000 + b"{}" + b"}}" * 5000 + b"}"
    with pytest.raises(NotUnderstoodError) as raised:
        plan(deep)
    assert raised.value.reason == "body"

"""What is decided about a search: how it is widened, or why it is passed through."""

import json
from typing import Any

import msgspec
import pytest

from opensearch.search.decision import Decision, InvalidControls, plan_search
from opensearch.search.plan import Plan
from opensearch.search.request import NotUnderstoodError, SearchRequest
from opensearch.search.window_request import (
    HitName,
    SearchCall,
    can_split,
    request_page_hits,
    request_rescored_page,
    request_window,
    request_window_vectors,
)
from opensearch.settings.fusion import FusionSettings, ResolvedFusion
from opensearch.settings.skip import Skip
from opensearch.settings.table import RerankSettings
from opensearch.settings.target import Target
from reranker.manifest import FusionDefault

SETTINGS = RerankSettings(model="tiny", source_fields=("text",))
QUERY: dict[str, Any] = {"match": {"text": "wait a bit"}}
COMBINING: dict[str, Any] = {"phase_results_processors": [{"normalization-processor": {}}]}
DEFAULTS = FusionDefault("log_linear", 10.0, 0.5, 0.2)


def plan(
    body: object, target: str = "/books/_search", settings: RerankSettings = SETTINGS
) -> Plan | Skip | InvalidControls:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    here = Target(settings, {"books": (settings.field,)})
    return plan_search(SearchRequest.parse(target, data), here, defaults=DEFAULTS).plan


def planned(body: object, target: str = "/books/_search") -> Plan:
    found = plan(body, target)
    assert isinstance(found, Plan), found
    return found


def asked(body: object, target: str = "/books/_search") -> SearchCall:
    return request_window(planned(body, target))


def test_a_plain_search_is_widened_to_the_window() -> None:
    found = planned({"query": QUERY, "size": 5})
    widened = request_window(found)
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
    assert request_window(found).target == "/b/_search?preference=me%2F1&pretty=true"


def test_the_last_of_equal_parameters_wins() -> None:
    assert planned({"query": QUERY}, "/b/_search?size=3&size=7").page_end == 7


def test_a_page_across_the_edge_asks_for_its_own_end() -> None:
    assert json.loads(asked({"query": QUERY, "from": 95, "size": 10}).body)["size"] == 105


@pytest.mark.parametrize("wanted", [False, ["title"], "title", {"excludes": ["text"]}, []])
def test_where_the_source_is_filtered_the_vector_comes_by_doc_values(wanted: object) -> None:
    body = json.loads(asked({"query": QUERY, "_source": wanted, "docvalue_fields": ["year"]}).body)
    assert body["docvalue_fields"] == ["year", "rerank.vector"]
    assert body["_source"] == wanted


@pytest.mark.parametrize("extra", [{"stored_fields": ["n"]}, {"script_fields": {"d": {"script": "1"}}}])
def test_what_comes_in_place_of_the_source_has_the_vector_beside_it(extra: dict[str, Any]) -> None:
    """OpenSearch leaves `_source` out then, unless it is asked for."""
    assert json.loads(asked({"query": QUERY, **extra}).body)["docvalue_fields"] == ["rerank.vector"]


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


def clustered(extra: dict[str, Any], target: str = "/b/_search") -> Plan:
    found = plan({"query": QUERY, **extra}, target, msgspec.structs.replace(SETTINGS, execution="cluster"))
    assert isinstance(found, Plan), found
    return found


def test_in_the_cluster_the_clients_own_page_is_asked_for_with_one_clause_more() -> None:
    found = clustered({"from": 500, "_source": ["title"]}, "/b/_search?size=7&preference=_local&pretty")
    asked = request_rescored_page(found, {"window_size": found.window_size})
    assert (found.in_cluster, found.fallback) == (True, None)
    assert asked.target == "/b/_search?size=7&preference=_local&pretty=true"
    rescore = {"rescore": {"window_size": 100}}
    assert json.loads(asked.body) == {"query": QUERY, "from": 500, "_source": ["title"], **rescore}


def test_in_the_cluster_a_filter_of_the_answer_is_widened_by_what_tells_that_it_is_whole() -> None:
    found = clustered({}, "/b/_search?filter_path=hits.hits._id")
    asked = request_rescored_page(found, {})
    assert asked.target.endswith("?filter_path=hits.hits._id%2Ctimed_out%2C_shards.failed")


@pytest.mark.parametrize(("reason", "extra"), [
    ("collapse", {"collapse": {"field": "year"}}),
    ("rescore", {"rescore": []}),
    ("explain", {"explain": True}),
    ("explain", {"ext": {"rerank": {"explain": True}}}),
    ("fusion", {"ext": {"rerank": {"fusion": {"method": "rrf"}}}}),
    ("score", {"ext": {"rerank": {"score": "probability"}}}),
    ("hybrid", {"query": {"hybrid": {"queries": [QUERY]}}, "search_pipeline": COMBINING}),
    ("top_hits", {"aggs": {"a": {"top_hits": {}}}}),
    ("top_hits", {"aggregations": {"a": {"terms": {"field": "x"}, "aggs": {"b": {"top_hits": {}}}}}}),
    ("scoreless", {"query": {"dis_max": {"queries": [QUERY], "boost": 0}}}),
    ("scoreless", {"query": {"bool": {"must": {"bool": {"filter": QUERY}}, "must_not": QUERY}},
                   "ext": {"rerank": {"query_context": {"query_text": "wait"}}}}),
])  # fmt: skip
def test_what_falls_back_to_the_sidecar(reason: str, extra: dict[str, Any]) -> None:
    found = clustered(extra)
    assert (found.in_cluster, found.fallback) == (False, reason)


@pytest.mark.parametrize("extra", [
    {"aggs": {"a": {"terms": {"field": "x"}}}}, {"query": {"bool": {"should": [QUERY], "filter": [QUERY]}}},
    {"ext": {"rerank": {"score": "fused"}}}, {"explain": False}, {"profile": True}, {"sort": ["_score"]},
    {"query": {"dis_max": {"queries": [QUERY]}}},
])  # fmt: skip
def test_what_does_not_fall_back(extra: dict[str, Any]) -> None:
    assert clustered(extra).in_cluster


def test_a_model_without_a_script_falls_back() -> None:
    settings = msgspec.structs.replace(SETTINGS, execution="cluster")
    request = SearchRequest.parse("/b/_search", json.dumps({"query": QUERY, "from": 99}).encode())
    target = Target(settings, {"b": (settings.field,)})
    found = plan_search(request, target, defaults=DEFAULTS, fallback="crossing").plan
    assert isinstance(found, Plan)
    assert found.fallback == "crossing"


def test_what_falls_back_has_the_pages_of_the_sidecar() -> None:
    beyond = {"query": QUERY, "from": 100, "collapse": {"field": "year"}}
    assert plan(beyond, settings=msgspec.structs.replace(SETTINGS, execution="cluster")) == Skip(
        "beyond_window"
    )


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


def decide(controls: object, **members: Any) -> Decision:  # noqa: ANN401  # any JSON
    body = {"query": QUERY, "ext": {"rerank": controls}, **members}
    request = SearchRequest.parse("/b/_search", json.dumps(body).encode())
    return plan_search(request, Target(SETTINGS, {"b": (SETTINGS.field,)}), defaults=DEFAULTS)


def test_what_is_passed_through_goes_without_the_controls() -> None:
    for controls, reason in (({"enabled": False}, "disabled"), ({}, "sort")):
        found = decide(controls, sort=["year"])
        assert found.plan == Skip(reason)
        assert found.forward is not None
        assert set(found.forward.body) == {"query", "sort"}


def test_a_search_without_controls_is_sent_as_it_came() -> None:
    request = SearchRequest.parse("/b/_search", json.dumps({"query": QUERY, "sort": ["year"]}).encode())
    target = Target(SETTINGS, {"b": (SETTINGS.field,)})
    assert plan_search(request, target, defaults=DEFAULTS) == Decision(Skip("sort"))


def test_wrong_controls_are_said_to_be_wrong() -> None:
    found = decide({"window_size": 0})
    assert isinstance(found.plan, InvalidControls)
    assert found.plan.detail.startswith("ext.rerank.window_size: expected")
    assert found.forward is None


def test_a_plan_has_the_fusion_that_the_request_and_the_bundle_make() -> None:
    found = decide({"fusion": {"smoothing": 0}}).plan
    assert isinstance(found, Plan)
    assert found.fusion == ResolvedFusion("log_linear", 10.0, 60, 0.5, 0)


EXISTING = RerankSettings(model="tiny", source_fields=("text",), field="v", vectors="source")
BY_DOC_VALUES = msgspec.structs.replace(EXISTING, vectors="doc_values")


def planned_existing(body: dict[str, Any], settings: RerankSettings = EXISTING) -> Plan:
    target = Target(settings, {"books": ()})
    request = SearchRequest.parse("/books/_search", json.dumps({"query": QUERY, **body}).encode())
    found = plan_search(request, target, defaults=DEFAULTS).plan
    assert isinstance(found, Plan), found
    return found


@pytest.mark.parametrize("source", [{}, {"_source": False}, {"_source": {"excludes": ["v"]}}])
def test_doc_values_of_the_indexs_own_are_asked_for_besides(source: dict[str, Any]) -> None:
    found = json.loads(request_window(planned_existing(source, BY_DOC_VALUES)).body)
    assert found["docvalue_fields"] == [{"field": "v", "format": "binary"}]
    assert {key: found.get(key) for key in source} == source
    assert "docvalue_fields" not in json.loads(request_window(planned_existing(source)).body)


@pytest.mark.parametrize("settings", [EXISTING, BY_DOC_VALUES])
def test_the_split_window_of_such_an_index_has_vectors_and_names(settings: RerankSettings) -> None:
    body = {"_source": ["title"], "highlight": {"fields": {"text": {}}}, "size": 5}
    plan = planned_existing(body, settings)
    assert can_split(plan)
    window = json.loads(request_window_vectors(plan).body)
    own = [] if settings is EXISTING else [{"field": "v", "format": "binary"}]
    assert window["_source"] == (False if own else ["v"])
    assert window["docvalue_fields"] == ["_seq_no", *own]
    page = json.loads(request_page_hits(plan, [HitName("books", 7, "a")], 1).body)
    assert (page["_source"], page["docvalue_fields"]) == (["title"], ["_seq_no"])


@pytest.mark.parametrize("asked", [{"fields": ["v"]}, {"fields": ["*"]}, {"docvalue_fields": ["v"]}])
def test_a_client_that_asks_for_its_vectors_gets_its_own_form(asked: dict[str, Any]) -> None:
    plan = planned_existing({**asked, "size": 5}, BY_DOC_VALUES)
    assert plan.must_split
    page = json.loads(request_page_hits(plan, [HitName("books", 7, "a")], 1).body)
    assert page.get("fields") == asked.get("fields")
    assert page["docvalue_fields"] == [*asked.get("docvalue_fields", []), "_seq_no"]


def test_a_filtered_answer_names_its_hits_for_vectors_in_the_source() -> None:
    request = SearchRequest.parse(
        "/books/_search?filter_path=hits.hits._score", json.dumps({"query": QUERY}).encode()
    )
    plan = plan_search(request, Target(EXISTING, {"books": ()}), defaults=DEFAULTS).plan
    assert isinstance(plan, Plan)
    assert plan.filter_path is not None
    assert "hits.hits._id" in plan.filter_path.parameter


def test_such_vectors_are_scored_in_the_proxy() -> None:
    in_cluster = msgspec.structs.replace(
        EXISTING, execution="cluster", fusion=FusionSettings(feedback=0, smoothing=0)
    )
    plan = planned_existing({}, in_cluster)
    assert (plan.in_cluster, plan.fallback) == (False, "vectors")

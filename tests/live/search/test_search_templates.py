"""`_search/template` and `_msearch/template` through the proxy on a real OpenSearch."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from opensearchpy import OpenSearch

from tests.support.http.raw_http import RawAnswer, ask, ids, search
from tests.support.indices.toy_index import ToyIndex
from tests.support.searches.several_searches import NDJSON, item_ids, items, lines, raw_items, timeless

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
JSON = {"Content-Type": "application/json"}
STORED = "twinrank-test-template"
SOURCE = (
    '{\n "query": {"match": {"text": "{{words}}"}},'
    ' {{#newest}}"sort": [{"n": "desc"}],{{/newest}} "size": {{size}}{{^size}}10{{/size}}\n}'
)


@pytest.fixture(autouse=True, scope="module")
def stored_template(client: OpenSearch) -> Iterator[None]:
    client.put_script(id=STORED, body={"script": {"lang": "mustache", "source": SOURCE}})
    yield
    client.delete_script(id=STORED)


def template(url: str, body: object, parameters: str = "", index: str = "/toy") -> RawAnswer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ask(url, "POST", f"{index}/_search/template{parameters}", data, JSON)


def templates(url: str, body: bytes, parameters: str = "") -> RawAnswer:
    return ask(url, "POST", f"/_msearch/template{parameters}", body, NDJSON)


def by_id(toy_index: ToyIndex, **params: Any) -> dict[str, Any]:  # noqa: ANN401  # any JSON
    return {"id": STORED, "params": {"words": toy_index.query_text, **params}}


def inline(toy_index: ToyIndex, source: Any = SOURCE, **params: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"source": source, "params": {"words": toy_index.query_text, **params}}


def test_a_template_is_the_search_that_it_stands_for(proxy_url: str, toy_index: ToyIndex) -> None:
    single = json.loads(search(proxy_url, "toy", {"query": toy_index.query, "size": 7}).body)
    as_object = {"query": {"match": {"text": "{{words}}"}}, "size": "{{size}}"}
    for body in (by_id(toy_index, size=7), inline(toy_index, size=7), inline(toy_index, as_object, size=7)):
        answer = template(proxy_url, body)
        assert answer.rerank_status.startswith("applied; window=100; scored=100")
        assert "render;dur=" in answer.headers["server-timing"]
        found = json.loads(answer.body)
        assert found.pop("status") == 200
        assert {**found, "took": single["took"]} == single
        assert ids(answer) == toy_index.expected_order()[:7]


@pytest.mark.parametrize(
    "parameters", ["", "?pretty", "?filter_path=hits", "?filter_path=-status", "?typed_keys"]
)
def test_an_answers_form_is_that_of_a_template(proxy_url: str, toy_index: ToyIndex, parameters: str) -> None:
    """A window that holds the whole result, of one hit: the order is OpenSearch's own."""
    source = {"query": {"bool": {"must": {"match": {"text": "{{words}}"}}, "filter": {"term": {"n": 3}}}}}
    straight = template(toy_index.url, inline(toy_index, {**source, "_source": ["n"]}), parameters)
    through = template(proxy_url, inline(toy_index, {**source, "_source": ["n"]}), parameters)
    assert through.rerank_status.startswith("applied; window=1;")
    assert timeless(through.body) == timeless(straight.body)


IGNORED = (
    "?size=0&from=5&q=zzz&df=text&explain=true&version=true&_source=false&sort=n&stored_fields=_none_"
    "&terminate_after=1&seq_no_primary_term=true&docvalue_fields=n&track_scores=true&timeout=1s&stats=a"
    "&_source_includes=x&default_operator=AND&lenient=true&include_named_queries_score=true"
)
"""Parameters of `_search` that OpenSearch takes for a template, and does not look at."""


def test_parameters_that_opensearch_does_not_look_at_are_not_looked_at_here(
    proxy_url: str, toy_index: ToyIndex
) -> None:
    body = by_id(toy_index, size=5)
    straight = [template(toy_index.url, body, parameters) for parameters in ("", IGNORED)]
    assert timeless(straight[0].body) == timeless(straight[1].body)
    through = template(proxy_url, body, IGNORED)
    assert ids(through) == toy_index.expected_order()[:5]
    assert timeless(through.body) == timeless(template(proxy_url, body).body)


@pytest.mark.parametrize("parameters", [
    "?preference=_local&request_cache=true&search_type=dfs_query_then_fetch",
    "?rest_total_hits_as_int=true",
    "?track_total_hits=false",
    "?track_total_hits=5",
    "?ignore_unavailable=true&allow_partial_search_results=false",
])  # fmt: skip
def test_the_other_parameters_hold(proxy_url: str, toy_index: ToyIndex, parameters: str) -> None:
    straight = json.loads(template(toy_index.url, by_id(toy_index, size=5), parameters).body)
    answer = template(proxy_url, by_id(toy_index, size=5), parameters)
    through = json.loads(answer.body)
    assert answer.rerank_status.startswith("applied")
    assert through["hits"].get("total") == straight["hits"].get("total")
    assert through.keys() == straight.keys()
    assert len(through["hits"]["hits"]) == 5


@pytest.mark.parametrize("flags", [{"explain": True}, {"profile": True}, {}])
def test_explain_and_profile_are_those_of_the_request(
    proxy_url: str, toy_index: ToyIndex, flags: dict[str, bool]
) -> None:
    source = {"query": {"match": {"text": "{{words}}"}}, "explain": True, "profile": True}
    straight = json.loads(template(toy_index.url, {**inline(toy_index, source), **flags}).body)
    answer = template(proxy_url, {**inline(toy_index, source), **flags})
    through = json.loads(answer.body)
    assert answer.rerank_status.startswith("applied")
    assert through.keys() == straight.keys()
    assert through["hits"]["hits"][0].keys() == straight["hits"]["hits"][0].keys()


OWN: list[tuple[str, object, str]] = [
    ("template", {"source": '{"query":{{#a}}'}, ""),
    ("template", {"id": "no-such-template"}, ""),
    ("template", {"source": "hello {{a}}", "params": {"a": 1}}, ""),
    ("template", {"source": ""}, ""),
    ("template", {"id": STORED, "no_such_key": 1}, ""),
    ("template", {"params": {}}, ""),
    ("template", b"", ""),
    ("body", b"{", ""),
    ("no_such_parameter", {"id": STORED, "params": {"words": "file"}}, "?no_such_parameter=1"),
    ("search_pipeline", {"id": STORED, "params": {"words": "file"}}, "?search_pipeline=absent"),
    ("query_text", {"source": {"query": {"no_such_query": {}}}}, ""),
    ("track_total_hits", {"source": {"query": {"match": {"text": "file"}}, "track_total_hits": 3}},
     "?track_total_hits=5"),
    ("sort", {"id": STORED, "params": {"words": "file", "newest": True, "size": 2}}, "?stored_fields=_none_"),
    ("upstream", {"source": {"query": {"match": {"text": "file"}}}}, "?df=text"),
    ("suggest_field", {"source": {"query": {"match": {"text": "file"}}}}, "?suggest_field=text"),
    ("scroll", {"source": {"query": {"match": {"text": "file"}}, "_source": False, "size": 1}}, "?scroll=1m"),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "body", "parameters"), OWN)
def test_what_is_not_reranked_is_opensearchs_own_answer(
    proxy_url: str, toy_index: ToyIndex, reason: str, body: object, parameters: str
) -> None:
    straight, through = (template(url, body, parameters) for url in (toy_index.url, proxy_url))
    assert through.rerank_status == f"skipped; reason={reason}"
    assert through.status == straight.status
    theirs, ours = json.loads(straight.body), json.loads(through.body)
    for answer in (theirs, ours):
        answer.pop("took", None)
        answer.pop("_scroll_id", None)
    for hit in theirs.get("hits", {}).get("hits", ()):
        hit.get("_source", {}).pop("rerank", None)
    assert ours == theirs


def test_a_template_may_control_its_reranking(proxy_url: str, toy_index: ToyIndex) -> None:
    source = {"query": {"match": {"text": "{{words}}"}}, "ext": {"rerank": {"window_size": 20}}}
    assert template(proxy_url, inline(toy_index, source)).rerank_status.startswith("applied; window=20;")
    off = {**source, "ext": {"rerank": {"enabled": False}}}
    passed = template(proxy_url, inline(toy_index, off))
    assert passed.rerank_status == "skipped; reason=disabled"
    assert ids(passed) == [hit["_id"] for hit in toy_index.first_stage(10)]
    assert json.loads(passed.body)["status"] == 200
    wrong = template(proxy_url, inline(toy_index, {**source, "ext": {"rerank": {"window": 20}}}))
    assert (wrong.status, wrong.rerank_status) == (400, "refused; reason=ext")


def test_a_template_by_get_and_in_the_url(proxy_url: str, toy_index: ToyIndex) -> None:
    body = json.dumps(by_id(toy_index, size=3))
    got = ask(proxy_url, "GET", "/toy/_search/template", body.encode(), JSON)
    in_url = f"/_search/template?source_content_type=application/json&source={quote(body)}"
    for answer in (got, ask(proxy_url, "GET", f"/toy{in_url}")):
        assert ids(answer) == toy_index.expected_order()[:3]


def test_each_item_is_its_template(proxy_url: str, toy_index: ToyIndex, client: OpenSearch) -> None:
    """Stored, inline, missing, broken, sorted, of an index that is missing: each in its place."""
    client.index(index="templates-plain", id="1", body={"text": "file"}, refresh=True)
    body = lines(
        {"index": "toy"}, by_id(toy_index, size=4),
        {"index": "toy"}, {"id": "no-such-template"},
        {"index": "missing"}, by_id(toy_index),
        {"index": "toy"}, inline(toy_index, size=3),
        {"index": "toy"}, {"source": "hello"},
        {"index": "toy"}, {"source": {"sort": ["n"], "_source": ["n"], "size": 2}},
        {"index": "toy"}, {"source": {"ext": {"rerank": {"no": 1}}}},
        {"index": "templates-plain"}, by_id(toy_index),
    )  # fmt: skip
    straight, through = templates(toy_index.url, body), templates(proxy_url, body)
    assert through.rerank_status == (
        "applied=2; skipped=5; refused=1; items=0:applied,1:template,2:not_enabled,3:applied,"
        "4:template,5:sort,6:ext,7:not_enabled"
    )
    theirs, ours = raw_items(straight), raw_items(through)
    assert [ours[n] for n in (1, 2, 4, 5, 7)] == [theirs[n] for n in (1, 2, 4, 5, 7)]
    found = items(through)
    assert item_ids(found[0]) == toy_index.expected_order()[:4]
    assert item_ids(found[3]) == toy_index.expected_order()[:3]
    assert (found[6]["status"], found[0]["status"]) == (400, 200)
    client.indices.delete(index="templates-plain")


@pytest.mark.parametrize(
    "parameters", ["?rest_total_hits_as_int=true&typed_keys", "?max_concurrent_searches=1&pretty"]
)
def test_parameters_hold_for_every_template(proxy_url: str, toy_index: ToyIndex, parameters: str) -> None:
    source = {"query": {"bool": {"must": {"match": {"text": "{{words}}"}}, "filter": {"term": {"n": 3}}}}}
    body = lines({"index": "toy"}, inline(toy_index, {**source, "_source": ["n"]}))
    straight, through = (templates(url, body, parameters) for url in (toy_index.url, proxy_url))
    assert through.rerank_status == "applied=1; skipped=0; items=0:applied"
    assert timeless(through.body) == timeless(straight.body)


@pytest.mark.parametrize(("body", "parameters", "status"), [
    (lines({"index": "toy"}, {"id": STORED, "foo": 1}), "", "applied=0; skipped=1; items=0:template"),
    (lines({"index": "toy"}, {"params": {}}), "", "applied=0; skipped=1; items=0:template"),
    (lines({"index": "toy"}, b"{"), "", "applied=0; skipped=1; items=0:body"),
    (b"{}", "", "skipped; reason=lines"),
    (lines({}, {"id": STORED}), "?ignore_unavailable=true", "skipped; reason=ignore_unavailable"),
])  # fmt: skip
def test_what_opensearch_refuses_of_several_is_its_own_error(
    proxy_url: str, toy_index: ToyIndex, body: bytes, parameters: str, status: str
) -> None:
    straight, through = (templates(url, body, parameters) for url in (toy_index.url, proxy_url))
    assert straight.status == 400
    assert (through.status, through.body) == (straight.status, straight.body)
    assert through.rerank_status == status

"""Requests that we changed and OpenSearch does not like, and what else may come between: never worse."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opensearchpy import OpenSearch, helpers
from werkzeug.test import Client, TestResponse

from plugin.encoding.model import Model
from plugin.proxy import Proxy
from plugin.search.breaker import MAX_FAILURES
from plugin.upstream.client import Exchange, Upstream
from tests.support.http.raw_http import RawAnswer, ask, ids, search
from tests.support.indices.toy_index import ToyIndex, index_body

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]


@contextmanager
def proxied(toy: ToyIndex, upstream: Upstream | None = None) -> Iterator[Client]:
    """Yield a client of a proxy in this process, whose state is its own."""
    behind = upstream or Upstream(toy.url)
    try:
        yield Client(Proxy(behind, Model.load(toy.bundle)))
    finally:
        behind.close()


def asked(client: Client, index: str, body: dict[str, Any]) -> TestResponse:
    return client.post(f"/{index}/_search", json=body, buffered=True)


def small_index(toy: ToyIndex, name: str, settings: dict[str, Any] | None = None, **rerank: object) -> None:
    """Make an index of the toy's first documents with other settings."""
    body = index_body(toy.bundle, **rerank)
    body["settings"] |= settings or {}
    toy.client.indices.create(index=name, body=body)
    documents = toy.client.search(index=toy.name, body={"size": 30, "sort": "n"})["hits"]["hits"]
    actions = ({"_index": name, "_id": hit["_id"], "_source": hit["_source"]} for hit in documents)
    helpers.bulk(toy.client, actions, refresh=True)


def test_what_opensearch_keeps_refusing_is_not_tried_again_for_a_while(
    toy_index: ToyIndex, index_name: str
) -> None:
    small_index(toy_index, index_name, {"index.max_docvalue_fields_search": 1})
    body = {"query": toy_index.query, "_source": False, "docvalue_fields": ["n"]}
    plain = {"query": toy_index.query}
    with proxied(toy_index) as client:
        assert asked(client, index_name, plain).headers["Rerank-Status"].startswith("applied")
        for _ in range(MAX_FAILURES):
            answer = asked(client, index_name, body)
            assert (answer.status_code, answer.headers["Rerank-Status"]) == (200, "skipped; reason=upstream")
        metrics = client.get("/_plugins/_rerank/metrics").text
        assert 'twinrank_breakers_open{breaker="upstream"} 1.0' in metrics
        for index in (index_name, toy_index.name):
            found = asked(client, index, plain)
            assert found.headers["Rerank-Status"].startswith("applied"), "the breaker is that form's alone"


@pytest.mark.parametrize("clause", [{"term": {"n": "wait"}}, {"query_string": {"query": "AND ("}}])
def test_items_that_opensearch_refuses_as_they_are_stop_no_searches(
    toy_index: ToyIndex, clause: dict[str, Any]
) -> None:
    """A query that is wrong by itself says nothing of the requests that we widen."""
    wrong = {"query": {"bool": {"must": [toy_index.query], "should": [clause]}}}
    lines = "".join(f"{{}}\n{json.dumps(wrong)}\n" for _ in range(2 * MAX_FAILURES))
    typed = {"Content-Type": "application/x-ndjson"}
    with proxied(toy_index) as client:
        answer = client.post(f"/{toy_index.name}/_msearch", data=lines, headers=typed, buffered=True)
        assert [each["status"] for each in json.loads(answer.data)["responses"]] == [400] * 2 * MAX_FAILURES
        found = asked(client, toy_index.name, {"query": toy_index.query})
        assert found.headers["Rerank-Status"].startswith("applied")


def test_a_warning_outlives_the_request_that_it_was_given_to(toy_index: ToyIndex) -> None:
    """OpenSearch warns once for each X-Opaque-Id, and the widened request comes first."""
    query = {"query": "wait", "fields": ["text"], "type": "bool_prefix", "cutoff_frequency": 0.001}
    body, named = {"query": {"multi_match": query}}, {"X-Opaque-Id": f"warned-{toy_index.name}-straight"}
    straight = ask(toy_index.url, "POST", f"/{toy_index.name}/_search", json.dumps(body).encode(),
                   {"Content-Type": "application/json", **named})  # fmt: skip
    with proxied(toy_index) as client:
        headers = {"X-Opaque-Id": f"warned-{toy_index.name}-proxied"}
        through = client.post(f"/{toy_index.name}/_search", json=body, headers=headers, buffered=True)
    assert through.headers["Rerank-Status"] == "skipped; reason=upstream"
    assert (straight.status, "cutoff_frequency" in straight.headers["warning"]) == (400, True)
    assert (through.status_code, through.headers.getlist("Warning")) == (400, [straight.headers["warning"]])


def test_a_warning_outlives_a_refused_msearch_too(toy_index: ToyIndex) -> None:
    query = {"query": "wait", "fields": ["text"], "type": "bool_prefix", "cutoff_frequency": 0.001}
    item = json.dumps({"query": {"multi_match": query}})
    body, path = f'{{"index":"{toy_index.name}"}}\n{item}\n', "/_msearch"
    typed = {"Content-Type": "application/x-ndjson"}
    straight = ask(toy_index.url, "POST", path, body.encode(), {**typed, "X-Opaque-Id": "m-straight"})
    with proxied(toy_index) as client:
        headers = {**typed, "X-Opaque-Id": "m-proxied"}
        through = client.post(path, data=body, headers=headers, buffered=True)
    assert (straight.status, "cutoff_frequency" in straight.headers["warning"]) == (400, True)
    assert (through.status_code, through.headers.getlist("Warning")) == (400, [straight.headers["warning"]])


def test_a_request_that_is_wrong_anyway_says_nothing_of_ours(toy_index: ToyIndex) -> None:
    wrong = {"query": {"multi_match": {"query": "wait", "fields": ["text"], "type": "no_such"}}}
    with proxied(toy_index) as client:
        for _ in range(MAX_FAILURES + 1):
            answer = asked(client, toy_index.name, wrong)
            assert (answer.status_code, answer.headers["Rerank-Status"]) == (400, "skipped; reason=upstream")
        right = asked(client, toy_index.name, {"query": toy_index.query})
        assert right.headers["Rerank-Status"].startswith("applied")


def test_a_tripped_circuit_breaker_gives_the_answer_to_the_clients_own_search(
    client: OpenSearch, proxy_url: str, toy_index: ToyIndex
) -> None:
    body = {"query": toy_index.query, "aggs": {"n": {"terms": {"field": "n", "size": 1000}}}}
    limit = "indices.breaker.request.limit"
    client.cluster.put_settings(body={"transient": {limit: "1kb"}})
    try:
        straight, through = (search(url, toy_index.name, body) for url in (toy_index.url, proxy_url))
    finally:
        client.cluster.put_settings(body={"transient": {limit: None}})
    assert b"circuit_breaking_exception" in straight.body
    assert (through.status, through.rerank_status) == (straight.status, "skipped; reason=upstream")
    assert b"circuit_breaking_exception" in through.body


class Meddling(Upstream):
    """An upstream whose index changes after the first search that it is asked for."""

    def __init__(self, toy: ToyIndex, index: str, gone: str) -> None:
        super().__init__(toy.url)
        self._toy, self._index, self._gone = toy, index, gone

    def exchange(self, method: str, target: str, *rest: Any, **more: Any) -> Exchange:  # noqa: ANN401
        answer = super().exchange(method, target, *rest, **more)
        if "_search" in target and self._gone:
            self._toy.client.delete(index=self._index, id=self._gone, refresh=True)
            self._gone = ""
        return answer


def test_a_hit_that_goes_between_two_requests(toy_index: ToyIndex, index_name: str) -> None:
    """The page cannot be put together: the client's own search is sent, on the index as it is now."""
    small_index(toy_index, index_name)
    body = {"query": toy_index.query, "highlight": {"fields": {"text": {}}}, "size": 5}
    with proxied(toy_index) as client:
        before = asked(client, index_name, body)
        assert "fetch;dur=" in before.headers["Server-Timing"]
    first = json.loads(before.data)["hits"]["hits"][0]["_id"]
    with proxied(toy_index, Meddling(toy_index, index_name, first)) as client:
        answer = asked(client, index_name, body)
    assert (answer.status_code, answer.headers["Rerank-Status"]) == (200, "skipped; reason=upstream")
    straight = search(toy_index.url, index_name, body)
    assert [hit["_id"] for hit in json.loads(answer.data)["hits"]["hits"]] == ids(straight)
    assert first not in ids(straight)


def test_fat_hits_are_asked_for_only_where_they_are_shown(toy_index: ToyIndex, index_name: str) -> None:
    small_index(toy_index, index_name)
    for n in range(12):
        source = toy_index.client.get_source(index=index_name, id=str(n))
        toy_index.client.index(
            index=index_name, id=str(n), body={"pad": "x" * 60_000, **source}, refresh=True
        )
    body = {"query": toy_index.query, "size": 5}
    with proxied(toy_index) as client:
        whole, split = asked(client, index_name, body), asked(client, index_name, body)
    assert "fetch;dur=" not in whole.headers["Server-Timing"]
    assert "fetch;dur=" in split.headers["Server-Timing"]
    assert json.loads(whole.data)["hits"] == json.loads(split.data)["hits"]


PIPELINES: dict[str, dict[str, Any]] = {
    "oversample": {
        "request_processors": [{"oversample": {"sample_factor": 2.0}}],
        "response_processors": [{"truncate_hits": {}}],
    },
    "rename": {"response_processors": [{"rename_field": {"field": "n", "target_field": "number"}}]},
}


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("where", ["url", "body", "default"])
def test_search_pipelines_work_on_the_clients_own_request(
    client: OpenSearch, proxy_url: str, toy_index: ToyIndex, index_name: str, name: str, where: str
) -> None:
    client.transport.perform_request("PUT", f"/_search/pipeline/{name}", body=PIPELINES[name])
    small_index(toy_index, index_name, {"index.search.default_pipeline": name} if where == "default" else {})
    parameters = f"?search_pipeline={name}" if where == "url" else ""
    body = {"query": toy_index.query, "size": 4} | ({"search_pipeline": name} if where == "body" else {})
    straight, through = (search(url, index_name, body, parameters) for url in (toy_index.url, proxy_url))
    assert (straight.status, through.rerank_status) == (200, "skipped; reason=search_pipeline")
    assert _comparable(through) == _comparable(straight)
    turned_off = search(proxy_url, index_name, {"query": toy_index.query}, "?search_pipeline=_none")
    assert turned_off.rerank_status.startswith("applied")


def _comparable(answer: RawAnswer) -> Any:  # noqa: ANN401
    hits = json.loads(answer.body)["hits"]
    for hit in hits["hits"]:
        hit["_source"].pop("rerank", None)
    return hits


def test_a_pipeline_that_is_allowed_works_on_the_window(
    client: OpenSearch, proxy_url: str, toy_index: ToyIndex, index_name: str
) -> None:
    client.transport.perform_request("PUT", "/_search/pipeline/rename", body=PIPELINES["rename"])
    settings = {"index.search.default_pipeline": "rename"}
    small_index(toy_index, index_name, settings, pipelines_allowed=["rename"])
    answer = search(proxy_url, index_name, {"query": toy_index.query, "size": 4})
    assert answer.rerank_status.startswith("applied; window=30; scored=30")
    assert all("number" in hit["_source"] for hit in json.loads(answer.body)["hits"]["hits"])


@pytest.mark.parametrize(("other", "wanted"), [
    ({"source_fields": ["title"]}, "skipped; reason=indices"),
    ({"model": "another"}, "skipped; reason=indices"),
    ({"field": "other.vector"}, "skipped; reason=indices"),
    ({"window_size": 7}, "applied; window=7;"),
    ({"window_sise": 7}, "skipped; reason=settings"),
])  # fmt: skip
def test_several_indices(
    proxy_url: str, toy_index: ToyIndex, index_name: str, other: dict[str, Any], wanted: str
) -> None:
    """Model, field and source fields must agree; in anything else the newest index's settings hold."""
    small_index(toy_index, index_name, None, **other)
    answer = search(proxy_url, f"{toy_index.name},{index_name}", {"query": toy_index.query})
    assert answer.rerank_status.startswith(wanted)


def _nested(levels: int, query: dict[str, Any]) -> dict[str, Any]:
    return query if not levels else {"bool": {"must": [_nested(levels - 1, query)]}}


def test_queries_of_every_size(proxy_url: str, toy_index: ToyIndex) -> None:
    """20 levels of `bool`, 1,024 clauses, and a text of 100 KB: reranked, or OpenSearch's own error."""
    clauses = [{"match": {"text": f"{toy_index.query_text} w{n}"}} for n in range(330)]
    long_text = (toy_index.query_text + " ") * (100_000 // (len(toy_index.query_text) + 1))
    for query in (
        _nested(20, toy_index.query), {"bool": {"should": clauses}},
        {"bool": {"should": [{"match": {"text": f"w{n}"}} for n in range(1_023)] + [toy_index.query]}},
        {"match": {"text": long_text}},
        {"bool": {"should": [{"match": {"text": f"w{n}"}} for n in range(1_100)]}},
    ):  # fmt: skip
        body = {"query": query, "size": 100}
        straight, through = (search(url, toy_index.name, body) for url in (toy_index.url, proxy_url))
        assert through.status == straight.status
        if straight.status == 200:
            assert through.rerank_status.startswith("applied"), through.rerank_status
            assert sorted(ids(through)) == sorted(ids(straight))
        else:
            assert json.loads(through.body) == json.loads(straight.body)


def test_a_deleted_index_and_an_unknown_path_are_opensearchs_own(proxy_url: str, toy_index: ToyIndex) -> None:
    for method, target in (("POST", "/absent-index/_search"), ("DELETE", f"/{toy_index.name}/_search")):
        straight, through = (
            ask(url, method, target, b"{}", {"Content-Type": "application/json"})
            for url in (toy_index.url, proxy_url)
        )
        assert (through.status, through.body) == (straight.status, straight.body)

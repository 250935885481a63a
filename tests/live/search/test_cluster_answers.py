"""`execution: cluster`: every hit as OpenSearch says it, what falls back to the sidecar, and faults."""

import json
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch
from werkzeug.test import Client, TestResponse

from opensearch.search.execution import FALLBACKS
from plugin.encoding.model import Model
from plugin.encoding.query_encoder import CachedQueryEncoder
from plugin.proxy import Proxy
from plugin.upstream.client import Upstream
from reranker.arrays import Floats
from tests.support.http.raw_http import ask, ids, search
from tests.support.indices.toy_index import ToyIndex, index_body
from tests.support.indices.window_index import NUM_HITS, WindowIndex
from tests.support.searches.cluster_requests import CLUSTER, controls, hits_of, rescored

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
JSON = {"Content-Type": "application/json"}

EXTRAS: list[dict[str, Any]] = [
    {"_source": False},
    {"_source": ["n", "kind"]},
    {"_source": {"excludes": ["text"]}},
    {"docvalue_fields": ["n", *[f"x{n}" for n in range(99)]], "_source": False},
    {"fields": ["n", "text"]},
    {"highlight": {"fields": {"text": {}}}},
    {"aggs": {"most": {"max": {"field": "n"}}}, "track_total_hits": False},
    {"track_total_hits": True, "version": True, "seq_no_primary_term": True},
    {"sort": ["_score"], "track_scores": True},
    {"suggest": {"s": {"text": "wiat", "term": {"field": "text"}}}},
    {"post_filter": {"term": {"kind": "2"}}},
    {"script_fields": {"double": {"script": "2 * doc['n'].value"}}},
]


@pytest.mark.parametrize("extra", EXTRAS, ids=json.dumps)
def test_every_hit_is_what_opensearch_says_of_it(
    proxy_url: str, opensearch_url: str, three_shards: WindowIndex, extra: dict[str, Any]
) -> None:
    body = {"query": three_shards.query, "size": 2_000, **extra}
    straight = json.loads(search(opensearch_url, three_shards.name, body).body)
    through = json.loads(rescored(proxy_url, three_shards, **body).body)
    assert sorted_hits(through) == sorted_hits(straight)
    for answer in (straight, through):
        del answer["took"], answer["hits"]["hits"], answer["hits"]["max_score"]
    assert through == straight


def sorted_hits(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the hits by id, without their scores and our field."""
    hits = sorted(answer["hits"]["hits"], key=lambda hit: str(hit["_id"]))
    return [
        {name: without_vector(name, value) for name, value in hit.items() if name != "_score"} for hit in hits
    ]


def without_vector(name: str, value: Any) -> Any:  # noqa: ANN401
    return {key: each for key, each in value.items() if key != "rerank"} if name == "_source" else value


def test_nested_inner_hits_are_opensearchs_own(
    client: OpenSearch, proxy_url: str, opensearch_url: str, toy_index: ToyIndex, index_name: str
) -> None:
    body = index_body(toy_index.bundle)
    body["mappings"]["properties"]["part"] = {"type": "nested"}
    client.indices.create(index=index_name, body=body)
    for number in range(5):
        part = [{"say": "wait " * n} for n in range(1, 4)]
        client.index(index=index_name, id=str(number), body={"part": part}, refresh=True)
    inner = {"nested": {"path": "part", "query": {"match": {"part.say": "wait"}}, "inner_hits": {}}}
    straight = search(opensearch_url, index_name, {"query": inner})
    through = search(proxy_url, index_name, {"query": inner, **CLUSTER})
    assert through.rerank_status.endswith("; execution=cluster")
    assert [hit["inner_hits"] for hit in hits_of(through)] == [hit["inner_hits"] for hit in hits_of(straight)]
    assert len(hits_of(through)) == 5


def test_the_answer_is_filtered_and_indented_as_asked_for(proxy_url: str, one_shard: WindowIndex) -> None:
    best = ids(rescored(proxy_url, one_shard, size=3))
    filtered = rescored(proxy_url, one_shard, "?filter_path=hits.hits._id,hits.hits._source", size=3)
    body = json.loads(filtered.body)
    assert [hit["_id"] for hit in body["hits"]["hits"]] == best
    assert (body.keys(), body["hits"].keys()) == ({"hits"}, {"hits"})
    assert body["hits"]["hits"][0]["_source"].keys() == {"n", "kind", "text"}
    pretty = rescored(proxy_url, one_shard, "?pretty&size=3")
    assert pretty.body.startswith(b'{\n  "took"')
    assert ids(pretty) == best


def test_the_url_counts_as_well(proxy_url: str, three_shards: WindowIndex) -> None:
    whole = ids(rescored(proxy_url, three_shards, size=30))
    target = (
        f"/{three_shards.name}/_search?q=text:({three_shards.query_text.replace(' ', '+')})&from=5&size=9"
    )
    answer = ask(proxy_url, "GET", target, json.dumps(CLUSTER).encode(), JSON)
    assert answer.rerank_status.endswith("; execution=cluster")
    assert ids(answer) == whole[5:14]


def test_aliases_several_indices_and_points_in_time(
    client: OpenSearch, proxy_url: str, one_shard: WindowIndex, three_shards: WindowIndex
) -> None:
    alias = "windows-alias"
    only = {"term": {"kind": "2"}}
    client.indices.put_alias(index=one_shard.name, name=alias, body={"filter": only})
    through_alias = search(proxy_url, alias, {"query": one_shard.query, "size": 2_000, **CLUSTER})
    assert {hit["_source"]["kind"] for hit in hits_of(through_alias)} == {"2"}
    both = f"{one_shard.name},{three_shards.name}"
    of_both = search(proxy_url, both, {"query": one_shard.query, "size": 5_000, **CLUSTER})
    assert len(ids(of_both)) == 2 * NUM_HITS
    pit = client.create_pit(index=three_shards.name, params={"keep_alive": "1m"})["pit_id"]
    body = {"query": three_shards.query, "size": 20, "pit": {"id": pit}, **CLUSTER}
    of_pit = ask(proxy_url, "POST", "/_search", json.dumps(body).encode(), JSON)
    client.delete_pit(body={"pit_id": [pit]})
    assert ids(of_pit) == ids(rescored(proxy_url, three_shards, size=20))
    for answer in (through_alias, of_both, of_pit):
        assert answer.rerank_status.endswith("; execution=cluster")


def test_the_settings_choose_the_execution_too(
    client: OpenSearch, proxy_url: str, toy_index: ToyIndex, index_name: str
) -> None:
    body = index_body(toy_index.bundle, execution="cluster", window_size=10_000)
    body["settings"]["index.max_rescore_window"] = 50
    client.indices.create(index=index_name, body=body)
    client.reindex(body={"source": {"index": toy_index.name}, "dest": {"index": index_name}}, refresh=True)
    answer = search(proxy_url, index_name, {"query": toy_index.query})
    assert "; window=50/shard; " in answer.rerank_status, "no more than the index allows"
    assert answer.rerank_status.endswith("; execution=cluster")
    assert ids(answer) == toy_index.expected_order(50)[:10]


FALLING_BACK: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("collapse", {"collapse": {"field": "kind"}}, {}),
    ("top_hits", {"aggs": {"k": {"terms": {"field": "kind"}, "aggs": {"t": {"top_hits": {}}}}}}, {}),
    ("explain", {"explain": True}, {}),
    ("explain", {}, {"explain": True}),
    ("rescore", {"rescore": {"query": {"rescore_query": {"match_all": {}}}}}, {}),
    ("fusion", {}, {"fusion": {"method": "weighted"}}),
    ("fusion", {}, {"fusion": {"method": "rrf"}}),
    ("fusion", {}, {"fusion": {"method": "none"}}),
    ("score", {}, {"score": "probability"}),
    ("min_probability", {}, {"min_probability": 0.4}),
    ("diversity", {}, {"diversity": 0.3}),
    ("keep_exact", {}, {"keep_exact": ["kind"]}),
    ("scoreless", {"query": {"bool": {"filter": [{"match_all": {}}]}}},
     {"query_context": {"query_text": "wait"}}),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "extra", "more"), FALLING_BACK, ids=str)
def test_what_falls_back_is_answered_by_the_sidecar(
    proxy_url: str, one_shard: WindowIndex, reason: str, extra: dict[str, Any], more: dict[str, Any]
) -> None:
    body = {"query": one_shard.query, "size": 20, **extra}
    cluster = search(proxy_url, one_shard.name, {**body, **controls(**more)})
    sidecar = search(proxy_url, one_shard.name, {**body, **controls("sidecar", **more)})
    assert cluster.rerank_status == f"{sidecar.rerank_status}; fallback={reason}"
    assert (cluster.status, ids(cluster)) == (200, ids(sidecar))


def in_process(index: WindowIndex, url: str, model: Model, **more: Any) -> TestResponse:  # noqa: ANN401
    """Search through a proxy in this process."""
    with closing(Upstream(url)) as upstream:
        client = Client(Proxy(upstream, model))
        body = {"query": index.query, "size": 7, "from": 2, **controls(**more)}
        return client.post(f"/{index.name}/_search", json=body, buffered=True)


def test_a_crossing_without_a_script_falls_back(one_shard: WindowIndex, opensearch_url: str) -> None:
    model = Model.load(one_shard.bundle)
    with_other = replace(model, crossing=_Other())
    answer = in_process(one_shard, opensearch_url, with_other)
    assert answer.headers["Rerank-Status"].endswith("; execution=sidecar; fallback=crossing")


class _Other:
    """A crossing layer that no script knows, for want of a bundle with one."""

    def __call__(self, query: Floats, documents: Floats) -> Floats:
        scores: Floats = np.abs(documents @ query)
        return scores

    def probability(self, scores: Floats) -> Floats:
        return scores


def failing(text: str) -> Floats:
    raise RuntimeError("the encoder has had enough")


def test_without_a_query_vector_the_clients_own_request_is_sent(
    one_shard: WindowIndex, opensearch_url: str
) -> None:
    model = replace(Model.load(one_shard.bundle), query_vectors=CachedQueryEncoder(failing))
    answer = in_process(one_shard, opensearch_url, model)
    assert (answer.status_code, answer.headers["Rerank-Status"]) == (200, "skipped; reason=model")
    hits = json.loads(answer.data)["hits"]["hits"]
    assert [hit["_id"] for hit in hits] == [hit["_id"] for hit in one_shard.first_stage()[2:9]]
    assert all("rerank" not in hit["_source"] for hit in hits)


@pytest.mark.parametrize("vector", [np.full(32, np.nan, np.float32), np.ones(3, np.float32)], ids=len)
def test_a_query_vector_that_is_none_is_not_sent(
    one_shard: WindowIndex, opensearch_url: str, vector: Floats
) -> None:
    model = replace(Model.load(one_shard.bundle), query_vectors=CachedQueryEncoder(lambda text: vector))
    answer = in_process(one_shard, opensearch_url, model)
    assert (answer.status_code, answer.headers["Rerank-Status"]) == (200, "skipped; reason=model")


def test_too_many_waiting_queries_are_answered_at_once(one_shard: WindowIndex, opensearch_url: str) -> None:
    model = Model.load(one_shard.bundle)
    full = replace(
        model, query_vectors=CachedQueryEncoder(lambda text: np.zeros(32, np.float32), max_waiting=0)
    )
    answer = in_process(one_shard, opensearch_url, full)
    assert answer.headers["Rerank-Status"] == "skipped; reason=overloaded"


def test_on_failure_error_is_a_503(
    client: OpenSearch, toy_index: ToyIndex, index_name: str, one_shard: WindowIndex
) -> None:
    body = index_body(toy_index.bundle, execution="cluster", on_failure="error")
    client.indices.create(index=index_name, body=body)
    model = replace(Model.load(toy_index.bundle), query_vectors=CachedQueryEncoder(failing))
    answer = in_process(replace(one_shard, name=index_name), toy_index.url, model)
    assert (answer.status_code, answer.headers["Rerank-Status"]) == (503, "skipped; reason=model")


def test_what_opensearch_refuses_of_the_clause_is_answered_by_the_clients_own(
    client: OpenSearch, opensearch_url: str, toy_index: ToyIndex, index_name: str, one_shard: WindowIndex
) -> None:
    """The limit of the window is lowered behind the proxy's back, which knows the old one for a moment."""
    client.indices.create(index=index_name, body=index_body(toy_index.bundle))
    client.reindex(body={"source": {"index": toy_index.name}, "dest": {"index": index_name}}, refresh=True)
    with closing(Upstream(opensearch_url)) as upstream:
        proxy = Client(Proxy(upstream, Model.load(toy_index.bundle)))
        body = {"query": toy_index.query, **CLUSTER}

        def status() -> tuple[int, str]:
            answer = proxy.post(f"/{index_name}/_search", json=body, buffered=True)
            assert len(json.loads(answer.data)["hits"]["hits"]) == 10
            return answer.status_code, answer.headers["Rerank-Status"]

        assert status()[1].endswith("; execution=cluster")
        client.indices.put_settings(index=index_name, body={"index.max_rescore_window": 5})
        assert status() == (200, "skipped; reason=upstream")


def test_every_reason_for_giving_way_is_tested() -> None:
    elsewhere = {
        "crossing",
        "experiment",
        "hybrid",
        "multi_search",
        "pin",
        "vectors",
        "verify",
    }  # `hybrid` needs a plugin that is not there
    assert {reason for reason, _, _ in FALLING_BACK} | elsewhere == set(FALLBACKS)

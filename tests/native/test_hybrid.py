"""Hybrid and vector searches through the proxy, on the real neural-search and k-NN plugins of 2.19.1."""

import itertools
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opensearchpy import OpenSearch

from opensearch.client import OpenSearchClient
from opensearch.index.settings_report import report_settings
from opensearch.local.server import LocalServer
from plugin.harness.proxy_process import running_proxy
from reranker.bundle import Bundle
from tests.support.http.raw_http import RawAnswer, ask, ids, search
from tests.support.indices.hybrid_index import (
    PIPELINES,
    HybridIndex,
    make_hybrid_index,
    put_pipelines,
    without_ours,
)
from tests.support.paths import TINY_BUNDLE
from tests.support.searches.vector_search import EVERYTHING, check_vector_search, is_in_order
from tests.support.waiting import until

pytestmark = pytest.mark.live

SHARDS = {1: "hybrid-one", 3: "hybrid-three"}


@dataclass(frozen=True)
class Hybrid:
    """The node, the proxy in front, and the same documents in one shard and in three."""

    url: str
    proxy_url: str
    client: OpenSearch
    indices: dict[int, HybridIndex]

    def both(
        self, body: dict[str, Any], parameters: str = "", shards: int = 1
    ) -> tuple[RawAnswer, RawAnswer]:
        """Return OpenSearch's own answer and the proxy's."""
        straight, through = (
            search(url, SHARDS[shards], body, parameters) for url in (self.url, self.proxy_url)
        )
        return straight, through


@pytest.fixture(scope="module")
def hybrid(
    assembled_server: tuple[LocalServer, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hybrid]:
    """Yield them."""
    _, url = assembled_server
    bundle, folder = Bundle.open(TINY_BUNDLE), tmp_path_factory.mktemp("hybrid")
    with running_proxy(url, folder, bundle=TINY_BUNDLE) as proxy, OpenSearch(url, timeout=60) as client:
        put_pipelines(client)
        indices = {
            shards: make_hybrid_index(client, bundle, name, num_shards=shards)
            for shards, name in SHARDS.items()
        }
        yield Hybrid(url, proxy.url, client, indices)
        client.indices.delete(index=",".join(SHARDS.values()))


def put_pipeline(hybrid: Hybrid, name: str, body: dict[str, Any]) -> None:
    hybrid.client.transport.perform_request("PUT", f"/_search/pipeline/{name}", body=body)


@pytest.mark.parametrize("technique", PIPELINES)
@pytest.mark.parametrize("shards", SHARDS)
def test_a_hybrid_search_is_reranked_by_its_scaled_scores(
    hybrid: Hybrid, technique: str, shards: int
) -> None:
    index = hybrid.indices[shards]
    body = {"query": index.query(), "size": EVERYTHING}
    hits = index.hits(body, technique)[:100]
    answer = search(hybrid.proxy_url, index.name, body, f"?search_pipeline={technique}")
    scored = sum("rerank" in hit["_source"] for hit in hits)
    assert answer.rerank_status.startswith(
        f"applied; window={len(hits)}; scored={scored}; hybrid={technique}; model="
    )
    order = ids(answer)
    assert sorted(order) == sorted(hit["_id"] for hit in hits)
    assert order != [hit["_id"] for hit in hits]
    assert is_in_order(order, index.fuse(hits, technique))
    shown = json.loads(answer.body)["hits"]
    assert [hit["_score"] for hit in shown["hits"]] == [hit["_score"] for hit in hits]
    assert shown["max_score"] == hits[0]["_score"]


def test_all_pages_together_are_opensearchs_list(hybrid: Hybrid, is_long: bool) -> None:
    """Random depths, windows and edges of pages."""

    @settings(max_examples=150 if is_long else 30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(sorted(SHARDS)), st.sampled_from(sorted(PIPELINES)), st.integers(1, 60),
        st.integers(1, 80), st.lists(st.integers(1, 150), max_size=3),
    )  # fmt: skip
    def every_page(shards: int, technique: str, depth: int, window: int, edges: list[int]) -> None:
        index = hybrid.indices[shards]
        query, url = index.query(depth), f"?search_pipeline={technique}"
        hits = index.hits({"query": query, "size": EVERYTHING}, technique)
        straight = [hit["_id"] for hit in hits]
        cuts = sorted({0, *(edge for edge in edges if edge < len(straight)), len(straight)})
        found = []
        for start, end in itertools.pairwise(cuts):
            body = {"query": query, "from": start, "size": end - start}
            answer = search(
                hybrid.proxy_url, index.name, body | {"ext": {"rerank": {"window_size": window}}}, url
            )
            assert answer.status == 200, answer.body
            expected = "applied; " if start < window else "skipped; reason=beyond_window"
            assert answer.rerank_status.startswith(expected), answer.rerank_status
            found += ids(answer)
        assert sorted(found[:window]) == sorted(straight[:window])
        assert found[window:] == straight[window:]
        assert is_in_order(found[:window], index.fuse(hits[:window], technique))

    every_page()


def test_a_page_after_the_last_hit_is_empty(hybrid: Hybrid) -> None:
    body = {"query": hybrid.indices[1].query(5), "from": 60, "size": 5}
    straight, through = hybrid.both(body, "?search_pipeline=rrf")
    assert (straight.status, through.status, ids(through)) == (400, 200, [])


@pytest.mark.parametrize("parameters", ["", "?search_pipeline=_none"])
def test_without_a_pipeline_a_hybrid_search_is_left_alone(hybrid: Hybrid, parameters: str) -> None:
    straight, through = hybrid.both({"query": hybrid.indices[1].query(), "size": 5}, parameters)
    assert through.rerank_status == "skipped; reason=hybrid"
    assert (through.status, without_ours(through.body)) == (straight.status, without_ours(straight.body))


def test_a_later_page_without_a_depth_is_opensearchs_own_error(hybrid: Hybrid) -> None:
    body = {"query": hybrid.indices[3].query(), "from": 5, "size": 5}
    straight, through = hybrid.both(body, "?search_pipeline=rrf", shards=3)
    assert through.rerank_status == "skipped; reason=pagination_depth"
    assert (straight.status, through.status) == (400, 400)
    assert b"pagination_depth" in through.body


EXPLAINED: dict[str, Any] = {"response_processors": [{"hybrid_score_explanation": {}}]}


def test_a_pipeline_with_anything_else_works_on_the_clients_own_request(hybrid: Hybrid) -> None:
    put_pipeline(hybrid, "explained", {"phase_results_processors": [PIPELINES["min_max"]], **EXPLAINED})
    body = {"query": hybrid.indices[1].query(), "size": 5}
    straight, through = hybrid.both(body, "?search_pipeline=explained")
    assert through.rerank_status == "skipped; reason=search_pipeline"
    assert (through.status, without_ours(through.body)) == (straight.status, without_ours(straight.body))


def test_a_pipeline_is_followed_wherever_it_is_named(hybrid: Hybrid) -> None:
    index, whole = hybrid.indices[1], {"phase_results_processors": [PIPELINES["rrf"]]}
    put_pipeline(hybrid, "changing", whole)
    body: dict[str, Any] = {"query": index.query(), "size": 5}

    def status(by: str = "url") -> str:
        parameters = "?search_pipeline=changing" if by == "url" else ""
        more = {} if by == "url" else {"search_pipeline": whole if by == "definition" else "changing"}
        return search(hybrid.proxy_url, index.name, body | more, parameters).rerank_status

    until(lambda: "; hybrid=rrf; " in status(), "the new pipeline", status)
    until(lambda: "; hybrid=rrf; " in status("body"), "the other worker, too")
    assert "; hybrid=rrf; " in status("definition")
    put_pipeline(hybrid, "changing", {"phase_results_processors": [PIPELINES["l2"]]})
    until(lambda: "; hybrid=l2; " in status(), "the changed pipeline", status)
    put_pipeline(hybrid, "changing", whole | EXPLAINED)
    until(lambda: status() == "skipped; reason=search_pipeline", "more than phase results", status)
    through_proxy = json.dumps(whole).encode()
    headers = {"Content-Type": "application/json"}
    assert ask(hybrid.proxy_url, "PUT", "/_search/pipeline/changing", through_proxy, headers).status == 200
    until(lambda: "; hybrid=rrf; " in status(), "a change through the proxy", status)


def test_a_default_pipeline_serves_all_queries(hybrid: Hybrid) -> None:
    index = hybrid.indices[3]
    hybrid.client.indices.put_settings(index=index.name, body={"index.search.default_pipeline": "min_max"})
    try:
        with closing(OpenSearchClient(hybrid.url)) as client:
            (report,) = report_settings(client, index.name, {})
        assert not [note for note in report.notes if "pipeline" in note]
        match, both = {"match": {"text": index.query_text}}, {"query": index.query(), "size": 9}
        until(
            lambda: "; hybrid=min_max; " in search(hybrid.proxy_url, index.name, both).rerank_status,
            "the default pipeline",
        )
        plain = search(hybrid.proxy_url, index.name, {"query": match, "size": EVERYTHING})
        assert plain.rerank_status.startswith("applied; ")
        assert "hybrid=" not in plain.rerank_status
        hits = index.hits({"query": match, "size": EVERYTHING})
        assert is_in_order(ids(plain), index.fuse(hits, None))
    finally:
        hybrid.client.indices.put_settings(index=index.name, body={"index.search.default_pipeline": "_none"})


@pytest.mark.parametrize("more", [
    {"aggs": {"n": {"max": {"field": "n"}}}}, {"post_filter": {"range": {"n": {"lt": 40}}}},
    {"_source": ["n"]}, {"_source": False}, {"track_total_hits": 7}, {"highlight": {"fields": {"text": {}}}},
    {"docvalue_fields": ["n"]}, {"min_score": 0.01},
], ids=lambda more: next(iter(more)))  # fmt: skip
def test_what_else_a_search_asks_for_is_as_ever(hybrid: Hybrid, more: dict[str, Any]) -> None:
    body = {"query": hybrid.indices[3].query(40), "size": EVERYTHING, **more}
    straight, through = hybrid.both(body, "?search_pipeline=min_max", shards=3)
    assert through.rerank_status.startswith("applied; "), through.rerank_status
    own, found = json.loads(straight.body), json.loads(through.body)
    assert found["hits"]["total"] == own["hits"]["total"]
    assert found.get("aggregations") == own.get("aggregations")

    def comparable(page: dict[str, Any]) -> list[dict[str, Any]]:
        hits = [
            {name: value for name, value in hit.items() if name != "_score"} for hit in page["hits"]["hits"]
        ]
        for hit in hits:
            hit.get("_source", {}).pop("rerank", None)
        return sorted(hits, key=lambda hit: hit["_id"])

    assert comparable(found) == comparable(own)


def test_items_of_a_multi_search_are_reranked_alike(hybrid: Hybrid) -> None:
    index = hybrid.indices[1]
    body = {"query": index.query(40), "size": 9, "search_pipeline": "l2"}
    lines = f"{json.dumps({'index': index.name})}\n{json.dumps(body)}\n".encode() * 2
    headers = {"Content-Type": "application/x-ndjson"}
    answer = ask(hybrid.proxy_url, "POST", "/_msearch", lines, headers)
    alone = search(hybrid.proxy_url, index.name, body)
    found = [[hit["_id"] for hit in each["hits"]["hits"]] for each in json.loads(answer.body)["responses"]]
    assert answer.headers["rerank-status"].startswith("applied=2;")
    assert found == [ids(alone), ids(alone)]


def test_an_explanation_adds_up(hybrid: Hybrid) -> None:
    index = hybrid.indices[1]
    body = {"query": index.query(40), "size": 9, "ext": {"rerank": {"explain": True}}}
    answer = json.loads(search(hybrid.proxy_url, index.name, body, "?search_pipeline=min_max").body)
    assert answer["ext"]["rerank"]["hybrid"] == "min_max"
    for hit in answer["hits"]["hits"]:
        assert hit["_rerank"]["scaled_score"] >= hit["_rerank"]["first_stage_score"]


def test_a_vector_search_alone_is_a_first_stage(hybrid: Hybrid) -> None:
    check_vector_search(hybrid.indices[3], hybrid.proxy_url)

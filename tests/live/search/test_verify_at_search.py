"""`verify_at_search` on a real OpenSearch: no search is ranked by a vector of a text that is not there."""

import json
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from opensearchpy import OpenSearch, helpers

from opensearch.search.decision import plan_search
from opensearch.search.plan import Plan
from opensearch.search.request import SearchRequest
from opensearch.settings.table import RerankSettings
from opensearch.settings.target import Target
from plugin.errors import RerankFailedError
from plugin.http.messages import Request
from plugin.search.verification import WindowTexts
from plugin.upstream.client import Upstream
from reranker.manifest import FusionDefault
from tests.support.http.raw_http import RawAnswer, ids, search
from tests.support.indices.toy_index import ToyIndex, index_body
from tests.support.searches.several_searches import item_ids, items, lines, msearch

pytestmark = pytest.mark.live

CHECKED, BARE = "verified-stale", "verified-bare"


@pytest.fixture(scope="module")
def two_indices(client: OpenSearch, toy_index: ToyIndex) -> Iterator[ToyIndex]:
    """Yield the collection whose copies have three texts changed around the proxy.

    The vectors of those are there still in CHECKED, and taken away in BARE.
    """
    stale = [hit["_id"] for hit in toy_index.first_stage(60)[::20]]
    for name, settings in ((CHECKED, {"verify_at_search": True}), (BARE, {})):
        client.indices.create(index=name, body=index_body(toy_index.bundle, **settings))
        client.reindex(body={"source": {"index": toy_index.name}, "dest": {"index": name}}, refresh=True)
        gone = {} if name == CHECKED else {"rerank": None}
        found = client.mget(index=name, body={"ids": stale})["docs"]
        changes = [
            {
                "_op_type": "update", "_index": name, "_id": doc["_id"],
                "doc": {"text": doc["_source"]["text"] + " wait", **gone},
            }
            for doc in found
        ]  # fmt: skip
        helpers.bulk(client, changes, refresh=True)
        client.indices.forcemerge(index=name, params={"max_num_segments": 1})
    yield toy_index
    client.indices.delete(index=f"{CHECKED},{BARE}")


SHAPES: list[dict[str, Any]] = [
    {},
    {"_source": False},
    {"_source": ["n"], "size": 130},
    {"_source": ["text"], "from": 95, "size": 12},
    {"highlight": {"fields": {"text": {}}}, "size": 5},
    {"highlight": {"fields": {"text": {}}}, "_source": False, "size": 5},
    {"script_fields": {"one": {"script": "1"}}},
    {"stored_fields": ["_id"]},
    {"collapse": {"field": "n"}, "_source": False},
    {"explain": True, "_source": ["n"]},
    {"ext": {"rerank": {"explain": True}}, "fields": ["n"], "_source": False},
]


def told(answer: RawAnswer) -> str:
    """Return what the header says beside the model."""
    assert answer.status == 200, answer.body
    kept = ("applied", "skipped", "scored", "stale")
    return "; ".join(part for part in answer.rerank_status.split("; ") if part.startswith(kept))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_stale_vector_counts_as_none(proxy_url: str, two_indices: ToyIndex, shape: dict[str, Any]) -> None:
    body = {"query": two_indices.query, **shape}
    checked, bare = search(proxy_url, CHECKED, body), search(proxy_url, BARE, body)
    assert told(checked) == "applied; scored=97; stale=3"
    assert told(bare) == "applied; scored=97"
    assert ids(checked) == ids(bare)
    assert b'"vector"' not in checked.body
    assert hits_without_numbers(checked) == hits_without_numbers(bare)


def hits_without_numbers(answer: RawAnswer) -> list[dict[str, Any]]:
    """Return the hits without what names their index."""
    return [
        {key: value for key, value in hit.items() if key not in ("_index", "_explanation", "_node", "_shard")}
        for hit in json.loads(answer.body)["hits"]["hits"]
    ]


@pytest.mark.parametrize(
    "parameters",
    ["q=text:{}", "q=text:{}&_source=false", "q=text:{}&filter_path=took,hits.hits._score"],
)
def test_parameters_of_the_url(proxy_url: str, two_indices: ToyIndex, parameters: str) -> None:
    asked = "?" + parameters.format(quote(f"({two_indices.query_text})"))
    checked, bare = (search(proxy_url, name, b"", asked) for name in (CHECKED, BARE))
    assert (told(checked), told(bare)) == ("applied; scored=97; stale=3", "applied; scored=97")
    scores = [[hit["_score"] for hit in json.loads(one.body)["hits"]["hits"]] for one in (checked, bare)]
    assert scores[0] == scores[1]
    assert b"_id" not in checked.body or "filter_path" not in parameters


def test_without_the_setting_they_are_used(proxy_url: str, client: OpenSearch, two_indices: ToyIndex) -> None:
    """So the test above can fail: there the order is another."""
    body = {"query": two_indices.query, "size": 100, "_source": False}
    changed = {"ext": {"rerank": {"window_size": 99}}}
    assert told(search(proxy_url, CHECKED, {**body, **changed})).endswith("; stale=3")
    answer = search(proxy_url, two_indices.name, body)
    assert "stale" not in answer.rerank_status


def test_items_of_a_multi_search(proxy_url: str, two_indices: ToyIndex) -> None:
    shapes: list[dict[str, Any]] = [{}, {"_source": False}, {"size": 120, "_source": ["n"]}]
    bodies = [{"query": two_indices.query, **shape} for shape in shapes]
    checked, bare = (
        msearch(proxy_url, lines(*(part for body in bodies for part in ({"index": name}, body))))
        for name in (CHECKED, BARE)
    )
    assert checked.rerank_status == "applied=3; skipped=0; items=0-2:applied"
    assert [item_ids(item) for item in items(checked)] == [item_ids(item) for item in items(bare)]


def test_the_cluster_falls_back(proxy_url: str, two_indices: ToyIndex) -> None:
    body = {"query": two_indices.query, "ext": {"rerank": {"execution": "cluster"}}}
    status = search(proxy_url, CHECKED, body).rerank_status
    assert "; stale=3; " in status
    assert status.endswith("; execution=sidecar; fallback=verify")


def test_one_that_was_just_rewritten_is_judged_by_what_is_there_now(
    client: OpenSearch, proxy_url: str, two_indices: ToyIndex
) -> None:
    """Where a search does not bring the text along, it is read in real time, before a refresh."""
    rewritten = two_indices.first_stage(11)[10]["_id"]
    body = {"query": two_indices.query, "size": 100, "_source": False}
    client.index(index=CHECKED, id=rewritten, body={"n": 20, "text": "another text"})
    try:
        assert told(search(proxy_url, CHECKED, body)) == "applied; scored=96; stale=4"
    finally:
        original = client.get(index=two_indices.name, id=rewritten)["_source"]
        client.index(index=CHECKED, id=rewritten, body=original, refresh=True)


def a_plan() -> Plan:
    settings = RerankSettings(model="tiny", source_fields=("text",), verify_at_search=True)
    request = SearchRequest.parse("/a/_search", b'{"query":{"match":{"text":"wait"}},"_source":false}')
    target = Target(settings, {"a": ("rerank.vector",)})
    plan = plan_search(request, target, defaults=FusionDefault("log_linear", 10.0)).plan
    assert isinstance(plan, Plan)
    return plan


@pytest.mark.parametrize("named", [{"_index": "a", "_id": "1"}, {"_index": "a"}])
def test_texts_that_cannot_be_read_are_no_reason_to_trust_a_vector(named: dict[str, str]) -> None:
    hit = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in named.items()}
    with closing(Upstream("http://127.0.0.1:1")) as nobody:
        texts = WindowTexts(nobody, Request("GET", "/a/_search", (), BytesIO(), 0))
        with pytest.raises(RerankFailedError) as caught:
            texts.without_stale(a_plan(), [hit], [bytes(30)], has_sources=False)
    assert caught.value.reason == "verify"


@pytest.mark.parametrize("source", [b'{"text":"\\ud800"}', b"[1]", b"{", b"{}", b'{"text":""}'])
def test_odd_sources_have_no_current_vector(source: bytes) -> None:
    with closing(Upstream("http://127.0.0.1:1")) as nobody:
        texts = WindowTexts(nobody, Request("GET", "/a/_search", (), BytesIO(), 0))
        hit = {"_source": msgspec.Raw(source)}
        assert texts.without_stale(a_plan(), [hit], [bytes(30)], has_sources=True) == ([None], 1)

"""Searches through the proxy on a real OpenSearch: order, pages, scores, bytes, and soft failures."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from opensearchpy import OpenSearch

from plugin.harness.proxy_process import running_proxy
from tests.support.cores import CORES, core_arguments
from tests.support.http.raw_http import RawAnswer, ask, ids, search
from tests.support.indices.toy_index import WINDOW, ToyIndex, vector_member
from tests.support.paths import TINY_BUNDLE

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module", params=CORES)
def proxy_url(
    request: pytest.FixtureRequest, opensearch_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Yield the URL of a proxy of each core."""
    folder, arguments = tmp_path_factory.mktemp("proxy"), core_arguments(request.param)
    with running_proxy(opensearch_url, folder, bundle=TINY_BUNDLE, arguments=arguments) as proxy:
        yield proxy.url


def scores(answer: RawAnswer) -> list[float]:
    return [hit["_score"] for hit in json.loads(answer.body)["hits"]["hits"]]


def test_the_order_is_that_of_the_formula(proxy_url: str, toy_index: ToyIndex) -> None:
    answer = search(proxy_url, toy_index.name, {"query": toy_index.query, "size": WINDOW})
    expected = toy_index.expected_order()
    assert ids(answer) == expected
    assert expected != [hit["_id"] for hit in toy_index.first_stage(WINDOW)]
    name = toy_index.bundle.name
    assert answer.rerank_status == (
        f"applied; window={WINDOW}; scored={WINDOW}; model={name}; bundle={name}@1; execution=sidecar"
    )
    assert "crossing;dur=" in answer.headers["server-timing"]


@pytest.mark.parametrize("form", [
    {"multi_match": {"query": "QUERY", "fields": ["text"]}},
    {"bool": {"must": [{"match": {"text": "QUERY"}}], "filter": [{"range": {"n": {"gte": 0}}}]}},
])  # fmt: skip
def test_other_queries_of_the_same_text_have_the_same_order(
    proxy_url: str, toy_index: ToyIndex, form: dict[str, Any]
) -> None:
    query = json.loads(json.dumps(form).replace("QUERY", toy_index.query_text))
    answer = search(proxy_url, toy_index.name, {"query": query})
    assert ids(answer) == toy_index.expected_order()[:10]


@pytest.mark.parametrize("page_size", [7, 40, 130])
def test_pages_together_are_every_hit_once(proxy_url: str, toy_index: ToyIndex, page_size: int) -> None:
    """Inside the window, across its edge, and beyond it."""
    found: list[str] = []
    for start in range(0, toy_index.num_documents, page_size):
        body = {"query": toy_index.query, "from": start, "size": page_size}
        found += ids(search(proxy_url, toy_index.name, body))
    everything = [hit["_id"] for hit in toy_index.first_stage(toy_index.num_documents)]
    assert found == toy_index.expected_order() + everything[WINDOW:]


def test_scores_are_opensearchs_own_in_their_order(proxy_url: str, toy_index: ToyIndex) -> None:
    body = {"query": toy_index.query, "size": 20, "from": 90}
    straight = search(toy_index.url, toy_index.name, body)
    through = search(proxy_url, toy_index.name, body)
    assert scores(through) == scores(straight)
    assert json.loads(through.body)["hits"]["max_score"] == json.loads(straight.body)["hits"]["max_score"]


def spelt(proxy_url: str, toy_index: ToyIndex, name: bytes) -> tuple[bytes, RawAnswer]:
    """Store a document with this name, as it is written, and search for it alone."""
    text = toy_index.query_text.encode()
    source = b'{"price": 1.10, "name":"%b", "z":1,"text":"%b","a":2}' % (name, text)
    member = json.dumps(
        vector_member(toy_index.bundle, "x", toy_index.bundle.load_query_encoder()("x")[None])
    )
    widened = source[:-1] + b"," + member[1:].encode()
    ask(toy_index.url, "PUT", f"/{toy_index.name}/_doc/spelt?refresh=true", widened, JSON)
    only = {"bool": {"must": [toy_index.query], "filter": [{"ids": {"values": ["spelt"]}}]}}
    answer = search(proxy_url, toy_index.name, {"query": only})
    toy_index.client.delete(index=toy_index.name, id="spelt", refresh=True)
    return source, answer


@pytest.mark.parametrize("name", [b"caf\\u00e9", "café 🙂".encode(), b"x" * 1_000_000], ids=len)
def test_hits_keep_their_bytes(proxy_url: str, toy_index: ToyIndex, name: bytes) -> None:
    source, answer = spelt(proxy_url, toy_index, name)
    assert answer.rerank_status.startswith("applied; window=1; scored=1")
    assert b'"_source":' + source + b"}" in answer.body


def test_a_lone_surrogate_in_a_hit_stays_and_the_search_is_reranked(
    proxy_url: str, toy_index: ToyIndex
) -> None:
    """OpenSearch stores and answers it, but strict readers refuse it."""
    source, answer = spelt(proxy_url, toy_index, b"lone \\ud800 surrogate \\ud83d\\ude00")
    assert answer.rerank_status.startswith("applied; window=1; scored=1")
    assert b'"_source":' + source + b"}" in answer.body


EXTRAS: list[dict[str, Any]] = [
    {"_source": False},
    {"_source": ["n"]},
    {"_source": {"excludes": ["text"]}},
    {"_source": False, "docvalue_fields": ["n"]},
    {"_source": False, "fields": ["n", "text"]},
    {"highlight": {"fields": {"text": {}}}},
    {"aggs": {"most": {"max": {"field": "n"}}}, "track_total_hits": False},
    {"version": True, "seq_no_primary_term": True},
    {"sort": ["_score"]},
    {"suggest": {"s": {"text": "wiat", "term": {"field": "text"}}}},
]


@pytest.mark.parametrize("extra", EXTRAS, ids=json.dumps)
def test_every_hit_is_what_opensearch_says_of_it(
    proxy_url: str, toy_index: ToyIndex, extra: dict[str, Any]
) -> None:
    """Hit by hit, and around the hits, the answer is OpenSearch's; only order and scores are ours."""
    body = {"query": toy_index.query, "size": WINDOW, **extra}
    straight = json.loads(search(toy_index.url, toy_index.name, body).body)
    through_raw = search(proxy_url, toy_index.name, body)
    through = json.loads(through_raw.body)
    assert through_raw.rerank_status.startswith("applied")
    assert [hit["_id"] for hit in through["hits"]["hits"]] == toy_index.expected_order()
    assert [without_order(hit) for hit in sorted_hits(through)] == [
        without_order(without_vector(hit)) for hit in sorted_hits(straight)
    ]
    assert [hit.get("sort") for hit in through["hits"]["hits"]] == [
        hit.get("sort") for hit in straight["hits"]["hits"]
    ]
    for answer in (straight, through):
        del answer["took"], answer["hits"]["hits"]
    assert through == straight


def sorted_hits(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return sorted(answer["hits"]["hits"], key=lambda hit: str(hit["_id"]))


def without_order(hit: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in hit.items() if name not in ("_score", "sort")}


def without_vector(hit: dict[str, Any]) -> dict[str, Any]:
    source = {name: value for name, value in hit.get("_source", {}).items() if name != "rerank"}
    return {**hit, "_source": source} if "_source" in hit else hit


def test_get_with_parameters_and_pretty(proxy_url: str, toy_index: ToyIndex) -> None:
    body = json.dumps({"query": toy_index.query, "size": 50}).encode()
    target = f"/{toy_index.name}/_search?size=3&from=2&pretty&preference=_local"
    answer = ask(proxy_url, "GET", target, body, JSON)
    assert ids(answer) == toy_index.expected_order()[2:5]
    assert answer.body.startswith(b'{\n  "took"')


def test_an_alias_is_reranked_as_its_index(client: OpenSearch, proxy_url: str, toy_index: ToyIndex) -> None:
    alias = f"{toy_index.name}-alias"
    client.indices.put_alias(index=toy_index.name, name=alias)
    assert ids(search(proxy_url, alias, {"query": toy_index.query})) == toy_index.expected_order()[:10]


def test_no_hits_are_an_empty_page(proxy_url: str, toy_index: ToyIndex) -> None:
    answer = search(proxy_url, toy_index.name, {"query": {"match": {"text": "zzzzzz"}}})
    assert (ids(answer), answer.status) == ([], 200)
    assert answer.rerank_status.startswith("applied; window=0; scored=0")

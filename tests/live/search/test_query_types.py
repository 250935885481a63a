"""Every query type that a server without plugins has, sent through the proxy on a real OpenSearch."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from opensearchpy import OpenSearch, helpers

from reranker.text import Chunking
from tests.support.http.raw_http import RawAnswer, ask
from tests.support.indices.toy_index import ToyIndex, index_body, vector_member
from tests.support.searches.query_examples import WITH_TEXT, WITHOUT_TEXT, Query

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
INDEX = "query-types"
OF_PLUGINS = {"knn", "xy_shape"}
TEXTS = ("wait a bit", "a bit long to wait", "it takes a bit", "how to wait")
EVERYWHERE = [query for query in WITHOUT_TEXT if OF_PLUGINS.isdisjoint(query)]


@pytest.fixture(scope="module")
def index(client: OpenSearch, toy_index: ToyIndex) -> Iterator[str]:
    """Yield an index of questions, each with one answer: joined, and with nested parts."""
    body = index_body(toy_index.bundle)
    body["mappings"]["properties"] |= {
        "parts": {"type": "nested"},
        "kind": {"type": "join", "relations": {"question": "answer"}},
    }
    client.indices.create(index=INDEX, body=body)
    vectors = toy_index.bundle.load_document_encoder(threads=1)(list(TEXTS), Chunking())
    helpers.bulk(client, _documents(toy_index, vectors), refresh=True)
    yield INDEX
    client.indices.delete(index=INDEX)


def _documents(toy_index: ToyIndex, vectors: list[Any]) -> Iterator[dict[str, Any]]:
    for n, (text, vector) in enumerate(zip(TEXTS, vectors, strict=True)):
        source = {"text": text, "parts": [{"text": text}], **vector_member(toy_index.bundle, text, vector)}
        for name, kind in ((f"q{n}", "question"), (f"a{n}", {"name": "answer", "parent": f"q{n}"})):
            action = {"_index": INDEX, "_id": name, "_routing": f"q{n}"}
            yield {**action, "_source": {**source, "kind": kind}}


def search(url: str, index: str, query: Query) -> RawAnswer:
    body = json.dumps({"query": query}).encode()
    return ask(url, "POST", f"/{index}/_search", body, {"Content-Type": "application/json"})


def ids(answer: RawAnswer) -> list[str]:
    return sorted(hit["_id"] for hit in json.loads(answer.body)["hits"]["hits"])


@pytest.mark.parametrize("query", WITH_TEXT, ids=str)
def test_with_text_it_is_reranked_and_every_hit_is_there(
    proxy_url: str, opensearch_url: str, index: str, query: Query
) -> None:
    straight, through = (search(url, index, query) for url in (opensearch_url, proxy_url))
    expected = ids(straight)
    assert expected
    assert ids(through) == expected
    assert through.rerank_status.startswith(f"applied; window={len(expected)}; scored={len(expected)};")


@pytest.mark.parametrize("query", EVERYWHERE, ids=str)
def test_without_text_it_is_opensearchs_own_answer(
    proxy_url: str, opensearch_url: str, index: str, query: Query
) -> None:
    straight, through = (search(url, index, query) for url in (opensearch_url, proxy_url))
    assert through.rerank_status == "skipped; reason=query_text"
    assert through.status == straight.status
    assert b"unknown query [" not in straight.body, "the table names a type that OpenSearch does not have"


def test_a_syntax_error_in_a_query_string_is_opensearchs_own_answer(
    proxy_url: str, opensearch_url: str, index: str
) -> None:
    query = {"query_string": {"query": "wait AND (a"}}
    straight, through = (search(url, index, query) for url in (opensearch_url, proxy_url))
    assert (through.status, through.body) == (straight.status, straight.body) == (400, straight.body)

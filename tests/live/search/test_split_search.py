"""The window first and then its page: hits are found again by sequence number, on several shards too."""

import json
from typing import Any

import pytest
from opensearchpy import OpenSearch, helpers

from reranker.bundle import Bundle
from tests.support.http.raw_http import RawAnswer, ids, search
from tests.support.indices.toy_index import ToyIndex, index_body, known_words, vector_member
from tests.support.paths import TINY_BUNDLE

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

NUM_SHARDS = 3
HIGHLIGHT: dict[str, Any] = {"highlight": {"fields": {"text": {}}}}
"""What makes a search ask for its page in a second request."""


def filled(client: OpenSearch, name: str, texts: list[str]) -> None:
    """Make an index of several shards with these documents and their vectors."""
    bundle = Bundle.open(TINY_BUNDLE)
    body = index_body(bundle, window_size=40)
    body["settings"]["number_of_shards"] = NUM_SHARDS
    client.indices.create(index=name, body=body)
    encode = bundle.load_query_encoder()
    sources = [{"text": text, **vector_member(bundle, text, encode(text)[None])} for text in texts]
    actions = ({"_index": name, "_id": str(n), "_source": source} for n, source in enumerate(sources))
    helpers.bulk(client, actions, refresh=True)


def page(proxy_url: str, name: str, query: str, **body: Any) -> RawAnswer:  # noqa: ANN401  # any JSON
    return search(proxy_url, name, {"query": {"match": {"text": query}}, "size": 12, **body})


def numbers_by_shard(client: OpenSearch, name: str) -> list[int]:
    found = client.search(index=name, body={"size": 100, "seq_no_primary_term": True})
    return [hit["_seq_no"] for hit in found["hits"]["hits"]]


def test_equal_numbers_of_several_shards_are_told_apart_by_their_vectors(
    client: OpenSearch, proxy_url: str, index_name: str
) -> None:
    words = known_words(TINY_BUNDLE)
    filled(
        client, index_name, [f"{words[0]} {words[n % 7]} {words[n % 11]} {words[n % 13]}" for n in range(40)]
    )
    numbers = numbers_by_shard(client, index_name)
    assert len(set(numbers)) < len(numbers), "several shards have the same numbers"
    whole, split = (page(proxy_url, index_name, words[0], **extra) for extra in ({}, HIGHLIGHT))
    assert "fetch;dur" not in whole.headers["server-timing"]
    assert "fetch;dur" in split.headers["server-timing"]
    assert ids(split) == ids(whole)
    assert split.rerank_status == whole.rerank_status
    hits = json.loads(split.body)["hits"]["hits"]
    assert all(f"<em>{words[0]}</em>" in hit["highlight"]["text"][0] for hit in hits)
    assert all(hit.keys() == {"_index", "_id", "_score", "_source", "highlight"} for hit in hits)


def test_equal_texts_of_equal_numbers_are_asked_for_with_the_window(
    client: OpenSearch, proxy_url: str, index_name: str
) -> None:
    word = known_words(TINY_BUNDLE)[0]
    filled(client, index_name, [word] * 40)
    answer = page(proxy_url, index_name, word, **HIGHLIGHT)
    assert answer.rerank_status.startswith("applied; window=40; scored=40")
    assert len(set(ids(answer))) == 12


@pytest.mark.parametrize("asked", [["_seq_no"], [{"field": "_seq_no"}]])
def test_a_client_that_asks_for_the_sequence_number_has_it(
    proxy_url: str, toy_index: ToyIndex, asked: list[Any]
) -> None:
    answer = page(proxy_url, toy_index.name, toy_index.query_text, docvalue_fields=asked, **HIGHLIGHT)
    assert "fetch;dur" in answer.headers["server-timing"]
    assert all(hit["fields"].keys() == {"_seq_no"} for hit in json.loads(answer.body)["hits"]["hits"])

"""The index that is searched and the one that is written, and what each search must find."""

import itertools
import json
import random

from opensearchpy import OpenSearch, helpers

from reranker.bundle import Bundle
from tests.chaos.clients import Query
from tests.support.http import raw_http
from tests.support.indices.toy_index import CHUNKING, index_body, vector_member
from tests.support.indices.window_index import UNUSABLE

SEARCHED, WRITTEN = "chaos-searched", "chaos-written"


def make_indices(client: OpenSearch, bundle: Bundle, words: list[str]) -> None:
    """Make the index that is searched, with some unusable vectors, and the one that is written."""
    chosen = random.Random(11)
    texts = [" ".join(chosen.choices(words[:12], k=6)) for _ in range(240)]
    encoded = bundle.load_document_encoder(threads=1)
    for name in (SEARCHED, WRITTEN):
        client.indices.delete(index=name, ignore_unavailable=True)
        client.indices.create(index=name, body=index_body(bundle, deadline_ms=200))
    made = encoded(texts, CHUNKING)
    members = [vector_member(bundle, text, vector) for text, vector in zip(texts, made, strict=True)]
    for number, spoiled in enumerate(UNUSABLE.values()):
        members[number * 7] = spoiled
    actions = (
        {"_index": SEARCHED, "_id": str(n), "_source": {"text": text, **member}}
        for n, (text, member) in enumerate(zip(texts, members, strict=True))
    )
    helpers.bulk(client, actions, refresh=True)


def make_queries(client: OpenSearch, url: str, words: list[str]) -> list[Query]:
    """Return searches with their pages: straight, and through a proxy while nothing is spoiled."""
    queries = []
    for pair in itertools.combinations(words[:12], 2):
        body = {"query": {"match": {"text": " ".join(pair)}}, "size": 10}
        first_stage = [hit["_id"] for hit in client.search(index=SEARCHED, body=body)["hits"]["hits"]]
        answer = raw_http.search(url, SEARCHED, body)
        while not answer.rerank_status.startswith("applied"):  # the deadline, on a busy machine
            answer = raw_http.search(url, SEARCHED, body)
        queries.append(Query(json.dumps(body).encode(), first_stage, raw_http.ids(answer)))
    return queries

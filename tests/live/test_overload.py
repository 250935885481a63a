"""More searches than can be reranked: every one is answered, and as many as possible are reranked."""

import json
import random
from collections.abc import Iterator
from contextlib import closing

import pytest
from opensearchpy import OpenSearch
from werkzeug.test import Client

from plugin.encoding.model import Model
from plugin.harness.proxy_process import running_proxy
from plugin.proxy import Proxy
from plugin.upstream.client import Upstream
from reranker.bundle import DEFAULT_BUNDLE, Bundle
from tests.benchmarks.open_loop import open_loop
from tests.benchmarks.overload import DEADLINE_MS, capacity
from tests.support.toy_index import ToyIndex, index_body, make_toy_index


@pytest.mark.live
def test_under_twice_the_load_every_search_is_answered(
    client: OpenSearch, opensearch_url: str, tmp_path_factory: pytest.TempPathFactory, is_long: bool
) -> None:
    """Counts alone: how fast it goes says `python -m tests.benchmarks.overload`."""
    seconds, bundle = (20.0 if is_long else 1.5), Bundle.open(DEFAULT_BUNDLE)
    toy = make_toy_index(client, opensearch_url, bundle, "overload", 30)
    meta = index_body(bundle, deadline_ms=DEADLINE_MS)["mappings"]["_meta"]
    client.indices.put_mapping(index=toy.name, body={"_meta": meta})
    drawn, words = random.Random(0), toy.query_text.split()

    def searches(count: int) -> list[object]:
        texts = (f"{drawn.choice(words)} {drawn.random()}" for _ in range(count))
        return [{"query": {"match": {"text": text}}} for text in texts]

    target, folder = f"/{toy.name}/_search", tmp_path_factory.mktemp("overload")
    with running_proxy(opensearch_url, folder, bundle=DEFAULT_BUNDLE) as proxy:
        rate = 2 * max(10.0, capacity(proxy.url, target, searches(100)))
        sent = searches(int(rate * seconds))
        answered = open_loop(proxy.url, target, sent, rate)
    assert (answered.faults, answered.statuses) == ({}, {200: len(sent)})
    assert answered.outcomes["applied"] > 0
    assert set(answered.outcomes) <= {"applied", "overloaded", "deadline"}


@pytest.fixture
def crowded(toy_index: ToyIndex) -> Iterator[Client]:
    """Yield a client of a proxy that answers another request, and whose encoder has work for a long time."""
    model = Model.load(toy_index.bundle)
    model.query_vectors.encoding_s = 1e9
    with closing(Upstream(toy_index.url)) as upstream, model.in_flight.one():
        yield Client(Proxy(upstream, model))


@pytest.fixture
def loud(client: OpenSearch, toy_index: ToyIndex, index_name: str) -> ToyIndex:
    """Return an index whose failures are errors."""
    toy = make_toy_index(client, toy_index.url, toy_index.bundle, index_name, 30)
    meta = index_body(toy.bundle, on_failure="error")["mappings"]["_meta"]
    client.indices.put_mapping(index=toy.name, body={"_meta": meta})
    return toy


@pytest.mark.live
@pytest.mark.parametrize("execution", ["sidecar", "cluster"])
def test_what_finds_no_place_is_opensearchs_own(
    toy_index: ToyIndex, loud: ToyIndex, crowded: Client, execution: str
) -> None:
    controls = {"ext": {"rerank": {"execution": execution}}}
    answer = crowded.post(
        f"/{toy_index.name}/_search", json={"query": toy_index.query, **controls}, buffered=True
    )
    assert (answer.status_code, answer.headers["Rerank-Status"]) == (200, "skipped; reason=overloaded")
    hits = (answer.json or {})["hits"]["hits"]
    assert [hit["_id"] for hit in hits] == [hit["_id"] for hit in toy_index.first_stage(10)]
    assert all("rerank" not in hit["_source"] for hit in hits)
    refused = crowded.post(f"/{loud.name}/_search", json={"query": loud.query, **controls}, buffered=True)
    assert (refused.status_code, refused.headers["Rerank-Status"]) == (503, "skipped; reason=overloaded")


@pytest.mark.live
def test_an_msearch_finds_no_place_but_where_failures_are_errors(
    toy_index: ToyIndex, loud: ToyIndex, crowded: Client
) -> None:
    searches = ({"index": toy.name} for toy in (toy_index, loud)), (toy_index.query, loud.query)
    lines = "".join(
        f"{json.dumps(header)}\n{json.dumps({'query': query})}\n"
        for header, query in zip(*searches, strict=True)
    )
    answer = crowded.post("/_msearch", data=lines, content_type="application/x-ndjson", buffered=True)
    assert answer.status_code == 200
    assert answer.headers["Rerank-Status"] == "applied=1; skipped=1; items=0:overloaded,1:applied"
    items = (answer.json or {})["responses"]
    first, second = ([hit["_id"] for hit in each["hits"]["hits"]] for each in items)
    assert first == [hit["_id"] for hit in toy_index.first_stage(10)]
    assert second == loud.expected_order()[:10]

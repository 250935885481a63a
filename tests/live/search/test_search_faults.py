"""Faults of the model while real searches run: each gives the first-stage page, and says so."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from werkzeug.test import Client, TestResponse

from plugin.encoding.model import Model
from plugin.encoding.query_encoder import MAX_FAULTS, CachedQueryEncoder
from plugin.proxy import Proxy
from plugin.upstream.client import Upstream
from reranker.arrays import Floats
from tests.support.indices.toy_index import ToyIndex

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
Encode = Callable[[str], Floats]


def searched(toy_index: ToyIndex, encode: Encode, **options: int) -> TestResponse:
    """Search through a proxy in this process, whose model is real but for its query encoder."""
    bundle = toy_index.bundle
    model = replace(Model.load(bundle), query_vectors=CachedQueryEncoder(encode, **options))
    body = {"query": toy_index.query, "size": 7, "from": 2}
    with closing(Upstream(toy_index.url)) as upstream:
        client = Client(Proxy(upstream, model))
        return client.post(f"/{toy_index.name}/_search", json=body, buffered=True)


def assert_first_stage(toy_index: ToyIndex, answer: TestResponse, reason: str) -> None:
    assert (answer.status_code, answer.headers["Rerank-Status"]) == (200, f"skipped; reason={reason}")
    hits = json.loads(answer.data)["hits"]["hits"]
    assert [hit["_id"] for hit in hits] == [hit["_id"] for hit in toy_index.first_stage(9)[2:]]
    assert all("rerank" not in hit["_source"] for hit in hits)


@pytest.fixture
def stuck() -> Iterator[Encode]:
    """Yield an encoder that takes longer than any deadline."""
    release = threading.Event()

    def encode(text: str) -> Floats:
        release.wait(30)
        return np.zeros(1, np.float32)

    yield encode
    release.set()


def failing(text: str) -> Floats:
    raise RuntimeError("the encoder has had enough")


def test_a_model_that_raises(toy_index: ToyIndex) -> None:
    assert_first_stage(toy_index, searched(toy_index, failing), "model")


def test_a_model_that_gives_nan(toy_index: ToyIndex) -> None:
    dim = toy_index.bundle.manifest.dim
    nan = np.full(dim, np.nan, np.float32)
    assert_first_stage(toy_index, searched(toy_index, lambda text: nan), "vectors")


def test_a_model_of_another_dimension(toy_index: ToyIndex) -> None:
    assert_first_stage(toy_index, searched(toy_index, lambda text: np.ones(3, np.float32)), "vectors")


@pytest.fixture
def hurried(toy_index: ToyIndex) -> Iterator[ToyIndex]:
    """Yield the index while its deadline is short."""
    meta = toy_index.client.indices.get_mapping(index=toy_index.name)[toy_index.name]["mappings"]["_meta"]
    short = {"rerank": {**meta["rerank"], "deadline_ms": 20}}
    toy_index.client.indices.put_mapping(index=toy_index.name, body={"_meta": short})
    yield toy_index
    toy_index.client.indices.put_mapping(index=toy_index.name, body={"_meta": meta})


def test_a_model_that_is_late(hurried: ToyIndex, stuck: Encode) -> None:
    assert_first_stage(hurried, searched(hurried, stuck), "deadline")


def test_queries_that_would_be_late_are_not_started_and_the_clients_own_search_is_sent(
    hurried: ToyIndex, stuck: Encode
) -> None:
    """While one encoding hangs, a search beside others does not wait for it; one that is alone does."""
    vectors = CachedQueryEncoder(stuck)
    vectors.encoding_s = 0.02
    model = replace(Model.load(hurried.bundle), query_vectors=vectors)
    vectors.submit("another query")
    with closing(Upstream(hurried.url)) as upstream:
        client = Client(Proxy(upstream, model))
        body = {"query": hurried.query, "size": 7, "from": 2}

        def searched() -> TestResponse:
            return client.post(f"/{hurried.name}/_search", json=body, buffered=True)

        with model.in_flight.one():
            answer = searched()
        status = client.get("/_plugins/_rerank/status", buffered=True)
        body["size"] = 6  # so that it is no page of the one before
        body["min_score"] = 0.0001
        alone = searched()
    assert_first_stage(hurried, answer, "overloaded")
    assert (status.json or {})["query_encoder"]["num_waiting"] == 1
    assert (status.json or {})["admission"]["in_flight"] == 1
    assert alone.headers["Rerank-Status"] == "skipped; reason=deadline"


def test_a_model_that_keeps_failing_is_left_alone_for_a_while(toy_index: ToyIndex) -> None:
    calls: list[str] = []

    def counted(text: str) -> Floats:
        calls.append(text)
        return failing(text)

    model = replace(Model.load(toy_index.bundle), query_vectors=CachedQueryEncoder(counted))
    with closing(Upstream(toy_index.url)) as upstream:
        client = Client(Proxy(upstream, model))
        for number in range(MAX_FAULTS + 5):
            body = {"query": {"match": {"text": f"wait {number}"}}}
            answer = client.post(f"/{toy_index.name}/_search", json=body, buffered=True)
            assert answer.headers["Rerank-Status"] == "skipped; reason=model"
        status = client.get("/_plugins/_rerank/status", buffered=True)
        metrics = client.get("/_plugins/_rerank/metrics", buffered=True).text
    assert len(calls) == MAX_FAULTS
    assert 'twinrank_breakers_open{breaker="model"} 1.0' in metrics
    assert (status.json or {})["query_encoder"]["breaker"] == "open"
    assert [host["is_left_out"] for host in (status.json or {})["opensearch"]] == [False]


def test_more_queries_than_may_wait(toy_index: ToyIndex, stuck: Encode) -> None:
    assert_first_stage(toy_index, searched(toy_index, stuck, max_waiting=0), "overloaded")


def test_a_fault_that_nobody_foresaw_passes_the_clients_own_search_through(toy_index: ToyIndex) -> None:
    answer = searched(toy_index, lambda text: "no array")  # type: ignore[arg-type,return-value]
    assert answer.headers["Rerank-Status"] == "skipped; reason=internal"
    hits = json.loads(answer.data)["hits"]["hits"]
    assert [hit["_id"] for hit in hits] == [hit["_id"] for hit in toy_index.first_stage(9)[2:]]

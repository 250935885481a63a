"""Faults of the model while real searches run: each gives the first-stage page, and says so."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from werkzeug.test import Client, TestResponse

from plugin.model import Model
from plugin.query_vectors import Floats, QueryVectors
from plugin.upstream import Upstream
from plugin.wsgi import Proxy
from tests.toy_index import ToyIndex

pytestmark = pytest.mark.live
Encode = Callable[[str], Floats]


def searched(toy_index: ToyIndex, encode: Encode, **options: int) -> TestResponse:
    """Search through a proxy in this process, whose model is real but for its query encoder."""
    bundle = toy_index.bundle
    model = replace(Model.load(bundle), query_vectors=QueryVectors(encode, **options))
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


def test_a_model_that_is_late(toy_index: ToyIndex, stuck: Encode) -> None:
    mapping = toy_index.client.indices.get_mapping(index=toy_index.name)[toy_index.name]["mappings"]
    patient = mapping["_meta"]
    hurried = {"rerank": {**patient["rerank"], "deadline_ms": 20}}
    toy_index.client.indices.put_mapping(index=toy_index.name, body={"_meta": hurried})
    answer = searched(toy_index, stuck)
    toy_index.client.indices.put_mapping(index=toy_index.name, body={"_meta": patient})
    assert_first_stage(toy_index, answer, "deadline")


def test_more_queries_than_may_wait(toy_index: ToyIndex, stuck: Encode) -> None:
    assert_first_stage(toy_index, searched(toy_index, stuck, max_waiting=0), "overloaded")


def test_a_fault_that_nobody_foresaw_passes_the_clients_own_search_through(toy_index: ToyIndex) -> None:
    answer = searched(toy_index, lambda text: "no array")  # type: ignore[arg-type,return-value]
    assert answer.headers["Rerank-Status"] == "skipped; reason=internal"
    hits = json.loads(answer.data)["hits"]["hits"]
    assert [hit["_id"] for hit in hits] == [hit["_id"] for hit in toy_index.first_stage(9)[2:]]

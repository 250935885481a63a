"""The document tower behind its queue: one at a time, a few waiting, the rest told to come back."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from plugin.apis.errors import ApiError
from plugin.encoding.on_demand_encoder import MAX_WAITING, OnDemandEncoder
from plugin.errors import RerankFailedError
from reranker.encoder import DocumentEncoder
from reranker.errors import BundleError
from reranker.text import Chunking
from tests.support.api_client import bundle


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Yield what the loading of the tower waits for; it opens at the end in any case."""
    event = threading.Event()
    yield event
    event.set()


def test_one_more_than_may_wait_is_told_to_come_back(gate: threading.Event) -> None:
    def load() -> DocumentEncoder:
        gate.wait(60)
        return bundle().load_document_encoder(threads=1)

    embeddings = OnDemandEncoder(load)
    with ThreadPoolExecutor(1 + MAX_WAITING) as pool:
        waiting = [pool.submit(embeddings, ["a"], Chunking()) for _ in range(1 + MAX_WAITING)]
        while not all(each.running() for each in waiting) or embeddings._slots._value > 0:
            threading.Event().wait(0.01)
        with pytest.raises(RerankFailedError, match="too many requests wait") as refused:
            embeddings(["a"], Chunking())
        assert (refused.value.reason, ApiError.from_failure(refused.value).status) == ("overloaded", 503)
        gate.set()
        vectors = [each.result(60)[0] for each in waiting]
    assert all(np.array_equal(each, vectors[0]) for each in vectors)
    assert len(embeddings(["a"], Chunking())) == 1, "all places are free again"


def test_a_tower_that_cannot_be_loaded_is_the_models_fault_every_time() -> None:
    def load() -> DocumentEncoder:
        raise BundleError("expected an ONNX model, found none")

    embeddings = OnDemandEncoder(load)
    for _ in range(2 + MAX_WAITING):
        with pytest.raises(RerankFailedError, match="expected an ONNX model") as failed:
            embeddings(["a"], Chunking())
        assert ApiError.from_failure(failed.value).status == 500


def test_tokens_are_counted_with_special_ones() -> None:
    embeddings = OnDemandEncoder(lambda: bundle().load_document_encoder(threads=1))
    assert embeddings.num_tokens(["", ""], Chunking()) == 4

"""The write handler at its limits, in this process: no room at the encoder or for vectors, deep documents."""

import io
import json
import threading
import time
from collections.abc import Iterator

import pytest
from opensearchpy import OpenSearch

from opensearch.endpoints import find_endpoint
from plugin.encoding.document_encoder import MAX_WRITERS
from plugin.encoding.model import Model
from plugin.http.messages import Request, Response
from plugin.settings.cache import SettingsCache
from plugin.upstream.client import Upstream
from plugin.upstream.streamed_response import StreamedResponse
from plugin.writes import bulk
from plugin.writes.handler import WriteHandler
from reranker.bundle import Bundle
from tests.support.indices.toy_index import index_body
from tests.support.indices.write_checks import state
from tests.support.paths import TINY_BUNDLE

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

NDJSON = (("Content-Type", "application/x-ndjson"),)


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.load(Bundle.open(TINY_BUNDLE))


@pytest.fixture
def handler(opensearch_url: str, model: Model) -> Iterator[WriteHandler]:
    upstream = Upstream(opensearch_url)
    yield WriteHandler(upstream, model, SettingsCache(upstream))
    upstream.close()


@pytest.fixture
def index(client: OpenSearch, index_name: str) -> str:
    client.indices.create(index=index_name, body=index_body(Bundle.open(TINY_BUNDLE)))
    return index_name


def send(handler: WriteHandler, method: str, target: str, body: bytes) -> tuple[bytes, str]:
    """Return the answer's body, and what it says of the documents."""
    headers = (("Content-Type", "application/json"),)
    request = Request(method, target, headers, io.BytesIO(body), len(body))
    spoken = find_endpoint(method, request.path)
    assert spoken is not None
    answer: Response = handler.answer(request, spoken)
    content = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
    if isinstance(answer.body, StreamedResponse):
        answer.body.close()
    own = () if answer.outcome is None else answer.outcome.headers()
    return content, dict(own).get("Rerank-Written", "")


def lines(number: int) -> bytes:
    return b"".join(b'{"index":{"_id":"%d"}}\n{"text":"text %d"}\n' % (n, n) for n in range(number))


def test_no_room_at_the_encoder_and_the_vectors_come_later(
    client: OpenSearch, handler: WriteHandler, model: Model, index: str
) -> None:
    for _ in range(MAX_WRITERS):
        assert model.documents.writers.acquire(timeout=10)  # a place comes back just after its vectors
    try:
        content, said = send(handler, "POST", f"/{index}/_bulk", lines(20))
    finally:
        for _ in range(MAX_WRITERS):
            model.documents.writers.release()
    assert json.loads(content)["errors"] is False
    assert said == "documents=20; encoded=0; repaired=0; left=0"
    deadline = time.monotonic() + 60
    while len(state(client, index).current) < 20 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(state(client, index).current) == 20


class SlowBody:
    """A body of which the first lines come, and the rest when the client likes."""

    def __init__(self, is_over: threading.Event) -> None:
        self._left = [lines(1), lines(1)]
        self._is_over = is_over
        self.is_asked_again = threading.Event()

    def read(self, size: int = -1, /) -> bytes:
        """Return the next lines, the second ones once the client goes on."""
        if len(self._left) == 1:
            self.is_asked_again.set()
            assert self._is_over.wait(60)
        return self._left.pop(0) if self._left else b""


def test_bulks_that_come_slowly_take_no_place_at_the_encoder_from_others(
    handler: WriteHandler, index: str
) -> None:
    is_over = threading.Event()
    bodies = [SlowBody(is_over) for _ in range(MAX_WRITERS)]
    target, length = f"/{index}/_bulk", 2 * len(lines(1))
    spoken = find_endpoint("POST", target)
    assert spoken is not None

    def slow(body: SlowBody) -> None:
        answer = handler.answer(Request("POST", target, NDJSON, body, length), spoken)
        if isinstance(answer.body, StreamedResponse):
            list(answer.body)
            answer.body.close()

    threads = [threading.Thread(target=slow, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    try:
        assert all(body.is_asked_again.wait(60) for body in bodies)
        _, said = send(handler, "PUT", f"/{index}/_doc/other", b'{"text":"nobody else wrote this"}')
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert said == "documents=1; encoded=1; repaired=0; left=0"


@pytest.mark.parametrize("room", [1, 1000])
def test_no_room_for_all_vectors_in_the_request(
    client: OpenSearch, handler: WriteHandler, index: str, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr(bulk, "BATCH_OPERATIONS", 5)
    monkeypatch.setattr(bulk, "MAX_CONTENT_BYTES", len(lines(40)) + room)
    content, said = send(handler, "POST", f"/{index}/_bulk", lines(40))
    assert json.loads(content)["errors"] is False
    num_repaired = int(said.partition("repaired=")[2].partition(";")[0])
    assert 40 - room // 100 <= num_repaired <= 40
    assert "left=0" in said
    assert len(state(client, index).current) == 40


def test_deep_documents_are_opensearchs_to_judge(
    client: OpenSearch, handler: WriteHandler, index: str
) -> None:
    for depth in (19, 900, 20_000):
        deep = b'{"text":' + b"[" * depth + b'"a"' + b"]" * depth + b"}"
        content, _ = send(handler, "PUT", f"/{index}/_doc/{depth}", deep)
        straight = send_straight(client, f"{index}-straight", depth, deep)
        assert json.loads(content).get("status", 201) == straight
    client.indices.delete(index=f"{index}-straight", ignore_unavailable=True)
    assert state(client, index).stale == set()


def send_straight(client: OpenSearch, index: str, depth: int, document: bytes) -> int:
    answer = client.transport.perform_request(
        "PUT", f"/{index}/_doc/{depth}", params={"ignore": (400, 500)}, body=document
    )
    return int(answer.get("status", 201))

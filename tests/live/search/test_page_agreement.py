"""Pages of one search agree, whichever worker answers them: two proxies here share what two workers do."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any

import pytest
from opensearchpy import OpenSearch
from werkzeug.test import Client, TestResponse

from plugin.encoding.model import Model
from plugin.encoding.query_encoder import CachedQueryEncoder
from plugin.proxy import Proxy
from plugin.search.page_table import PageTable
from plugin.upstream.client import Upstream
from reranker.arrays import Floats
from tests.support.indices.toy_index import ToyIndex, index_body, make_toy_index

pytestmark = pytest.mark.live

DEADLINE_MS = 100
NEVER = threading.Event()


@dataclass
class Worker:
    """A proxy in this process whose encoder can be held up."""

    client: Client
    model: Model
    toy: ToyIndex
    delay_s: float = 0.0
    is_broken: bool = False

    def encode(self, encode: Callable[[str], Floats], text: str) -> Floats:
        if self.is_broken:
            raise RuntimeError("the encoder has had enough")
        NEVER.wait(self.delay_s)
        return encode(text)

    def page(self, from_: int, size: int = 5, **more: Any) -> TestResponse:  # noqa: ANN401  # any JSON
        headers = more.pop("headers", {})
        body = {"query": self.toy.query, "from": from_, "size": size, **more}
        return self.client.post(f"/{self.toy.name}/_search", json=body, headers=headers, buffered=True)

    def told(self, from_: int, **more: Any) -> str:  # noqa: ANN401
        return word(self.page(from_, **more).headers["Rerank-Status"])

    @property
    def num_disagreeing(self) -> float:
        metrics = self.client.get("/_plugins/_rerank/metrics", buffered=True).text
        lines = (line for line in metrics.splitlines() if line.startswith("twinrank_pages_disagree_total"))
        return float(next(lines).split()[1])


def word(status: str) -> str:
    return "applied" if status.startswith("applied") else status.rpartition("reason=")[2]


@pytest.fixture(scope="module")
def hurried(client: OpenSearch, toy_index: ToyIndex) -> ToyIndex:
    toy = make_toy_index(client, toy_index.url, toy_index.bundle, "page-agreement", 30)
    meta = index_body(toy.bundle, deadline_ms=DEADLINE_MS)["mappings"]["_meta"]
    client.indices.put_mapping(index=toy.name, body={"_meta": meta})
    return toy


@pytest.fixture
def workers(hurried: ToyIndex) -> Iterator[tuple[Worker, Worker]]:
    """Yield two workers with one table."""
    table, both = PageTable(), []
    with ExitStack() as open_ones:
        for _ in range(2):
            model = Model.load(hurried.bundle)
            worker = Worker(Client(lambda *_: []), model, hurried)
            encode, spoiled = hurried.bundle.load_query_encoder(), worker.encode
            vectors = CachedQueryEncoder(lambda text, encode=encode, spoiled=spoiled: spoiled(encode, text))  # type: ignore[misc]
            upstream = open_ones.enter_context(closing(Upstream(hurried.url)))
            worker.model = replace(model, query_vectors=vectors)
            worker.client = Client(Proxy(upstream, worker.model, pages=table))
            both.append(worker)
        yield both[0], both[1]


LATE_S = 3 * DEADLINE_MS / 1000
STUCK_S = 20 * DEADLINE_MS / 1000


def test_after_a_reranked_page_the_next_waits_for_its_vector(workers: tuple[Worker, Worker]) -> None:
    one, other = workers
    assert one.told(0) == "applied"
    other.delay_s = LATE_S
    assert other.told(5) == "applied"
    other.toy.client.indices.refresh(index=other.toy.name)
    assert (one.num_disagreeing, other.num_disagreeing) == (0, 0)


def test_without_an_earlier_page_a_late_vector_is_not_waited_for(workers: tuple[Worker, Worker]) -> None:
    _, other = workers
    other.delay_s = LATE_S
    assert other.told(5) == "deadline"
    other.delay_s = 0
    assert other.told(10) == "earlier_page"


def test_after_a_skipped_page_the_next_are_skipped_and_together_they_are_the_first_stage(
    workers: tuple[Worker, Worker],
) -> None:
    one, other = workers
    one.delay_s = STUCK_S
    first = one.page(0, 10)
    second, third = other.page(10, 10), other.page(20, 10)
    assert [word(page.headers["Rerank-Status"]) for page in (first, second, third)] == [
        "deadline", "earlier_page", "earlier_page",
    ]  # fmt: skip
    found = [hit["_id"] for page in (first, second, third) for hit in (page.json or {})["hits"]["hits"]]
    assert found == [hit["_id"] for hit in one.toy.first_stage(30)]
    assert all("rerank" not in hit["_source"] for hit in (second.json or {})["hits"]["hits"])
    assert other.told(0) == "applied", "page 1 decides anew"
    assert other.told(10) == "applied"


def test_a_page_that_cannot_follow_is_counted(workers: tuple[Worker, Worker]) -> None:
    one, other = workers
    assert one.told(0) == "applied"
    other.is_broken = True
    assert other.told(5) == "model"
    assert (one.num_disagreeing, other.num_disagreeing) == (0, 1)
    assert one.told(10) == "applied", "what the first page was holds"


def test_what_one_search_decided_says_nothing_of_others(workers: tuple[Worker, Worker]) -> None:
    one, other = workers
    one.delay_s = STUCK_S
    assert one.told(0) == "deadline"
    assert other.told(5, query={"match": {"text": f"{one.toy.query_text} x"}}) == "applied"
    assert other.told(5, min_score=0.001) == "applied"
    assert other.told(5, headers={"Authorization": "Basic dTpw"}) == "applied"


@pytest.mark.parametrize(
    "more",
    [
        {"aggs": {"n": {"max": {"field": "n"}}}},
        {"_source": ["n"], "track_total_hits": True},
        {"highlight": {"fields": {"text": {}}}},
    ],
    ids=["aggregations", "source", "highlight"],
)
def test_what_a_page_shows_beside_its_hits_may_differ(
    workers: tuple[Worker, Worker], more: dict[str, Any]
) -> None:
    one, other = workers
    one.delay_s = STUCK_S
    assert one.told(0, **more) == "deadline"
    assert other.told(5) == "earlier_page"


def test_the_signature_of_a_request_is_no_caller(workers: tuple[Worker, Worker]) -> None:
    one, other = workers
    one.delay_s = STUCK_S
    signed = "AWS4-HMAC-SHA256 Credential=AK/20261130/eu/es/aws4_request, SignedHeaders=host, Signature="
    assert one.told(0, headers={"Authorization": f"{signed}1"}) == "deadline"
    assert other.told(5, headers={"Authorization": f"{signed}2"}) == "earlier_page"
    assert other.told(5, headers={"Authorization": f"{signed}2".replace("AK", "BK")}) == "applied"


@pytest.mark.parametrize("place", ["cluster", "sidecar"])
def test_pages_agree_wherever_hits_are_scored(workers: tuple[Worker, Worker], place: str) -> None:
    one, other = workers
    ext = {"rerank": {"execution": place}}
    one.delay_s = STUCK_S
    assert one.told(0, ext=ext) == "deadline"
    assert other.told(5, ext=ext) == "earlier_page"
    assert other.told(0, ext=ext) == "applied"
    other.delay_s = LATE_S
    assert other.told(5, ext=ext) == "applied"


def test_a_refused_page_is_followed_too(workers: tuple[Worker, Worker]) -> None:
    """Of a search that was reranked a later page is admitted, however much is to be done."""
    one, other = workers
    for worker in workers:
        worker.model.query_vectors.encoding_s = 1e9
    with one.model.in_flight.one():
        assert one.told(0) == "overloaded"
    assert other.told(5) == "earlier_page"
    assert one.told(0) == "applied"
    with other.model.in_flight.one():
        assert other.told(5) == "applied"


def items(worker: Worker, from_: int) -> str:
    lines = ({"index": worker.toy.name}, {"query": worker.toy.query, "from": from_, "size": 5})
    body = "".join(f"{json.dumps(line)}\n" for line in lines)
    answer = worker.client.post("/_msearch", data=body, content_type="application/x-ndjson", buffered=True)
    return answer.headers["Rerank-Status"].rpartition(":")[2]


def test_the_items_of_an_msearch_are_pages_too(workers: tuple[Worker, Worker]) -> None:
    one, other = workers
    one.delay_s = STUCK_S
    assert items(one, 0) == "deadline"
    assert items(other, 5) == "earlier_page"
    assert items(other, 0) == "applied"
    other.model.query_vectors.encoding_s = 1e9
    with other.model.in_flight.one():
        assert items(other, 5) == "applied"


def rendered(worker: Worker, from_: int) -> str:
    source = json.dumps({"query": worker.toy.query, "from": "{{from}}", "size": 5})
    body = {"source": source.replace('"{{from}}"', "{{from}}"), "params": {"from": from_}}
    answer = worker.client.post(f"/{worker.toy.name}/_search/template", json=body, buffered=True)
    return word(answer.headers["Rerank-Status"])


def test_pages_by_template_agree(workers: tuple[Worker, Worker]) -> None:
    one, other = workers
    one.delay_s = STUCK_S
    assert rendered(one, 0) == "deadline"
    assert rendered(other, 5) == "earlier_page"
    assert rendered(other, 0) == "applied"


def test_a_later_page_is_an_error_as_on_failure_says(
    client: OpenSearch, workers: tuple[Worker, Worker], index_name: str
) -> None:
    one, other = workers
    loud = make_toy_index(client, one.toy.url, one.toy.bundle, index_name, 30)
    meta = index_body(loud.bundle, deadline_ms=DEADLINE_MS, on_failure="error")["mappings"]["_meta"]
    client.indices.put_mapping(index=loud.name, body={"_meta": meta})
    one.toy = other.toy = loud
    other.delay_s = STUCK_S
    assert other.page(0).status_code == 503
    assert one.told(5) == "applied", "an error is no page that others could follow"
    failed = other.page(10)
    assert (failed.status_code, other.num_disagreeing) == (503, 0)

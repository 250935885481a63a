"""More searches than can be reranked: every one is answered, and as many as possible are reranked."""

import http.client
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import Mock
from urllib.parse import urlsplit

import pytest
from opensearchpy import OpenSearch
from werkzeug.test import Client

from plugin.encoding.admission import MAX_WAITING_REQUESTS
from plugin.encoding.model import Model
from plugin.harness.proxy_process import running_proxy
from plugin.http.request_queue import request_queue
from plugin.proxy import Proxy
from plugin.search.planner import SearchPlanner
from plugin.server.gunicorn_app import THREADS
from plugin.upstream.client import Upstream
from reranker.bundle import DEFAULT_BUNDLE, Bundle
from tests.benchmarks.open_loop import open_loop
from tests.benchmarks.overload import DEADLINE_MS, capacity
from tests.support.http.raw_http import ask, search
from tests.support.http.relay import Relay
from tests.support.indices.toy_index import ToyIndex, index_body, make_toy_index
from tests.support.paths import TINY_BUNDLE
from tests.support.waiting import until


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


NUM_SURPLUS = THREADS
"""Searches that wait beyond the most that may. A thread that counts late finds that others took some."""


@pytest.mark.live
@pytest.mark.skipif(sys.platform != "linux", reason="what a process has not read yet is told by /proc")
def test_what_waits_behind_too_many_others_is_not_reranked(toy_index: ToyIndex, tmp_path: Path) -> None:
    """No clock decides: OpenSearch is held until every search has come, and then counts are looked at."""
    relay = Relay(toy_index.url)
    count = THREADS + MAX_WAITING_REQUESTS + NUM_SURPLUS
    try:
        with running_proxy(relay.url, tmp_path, bundle=TINY_BUNDLE, arguments=["--workers", "1"]) as proxy:
            until(lambda: is_applied(proxy.url, toy_index))  # settings and languages are known from here on
            before = refused_by_queue(proxy.url)
            relay.hold()
            waiting = [begun(proxy.url, toy_index) for _ in range(count)]
            until(lambda: relay.num_held >= THREADS and num_unread(proxy.url, count) == 0)
            relay.release()
            answers = [connection.getresponse() for connection in waiting]
            pages = [[hit["_id"] for hit in json.loads(each.read())["hits"]["hits"]] for each in answers]
            told = [each.getheader("Rerank-Status", "").partition("; window")[0] for each in answers]
            for connection in waiting:
                connection.close()
            refused = refused_by_queue(proxy.url) - before
            until(lambda: is_applied(proxy.url, toy_index))
    finally:
        relay.cut()
    assert {each.status for each in answers} == {200}
    assert set(told) <= {"applied", "skipped; reason=overloaded", "skipped; reason=deadline"}
    assert refused["requests"] >= NUM_SURPLUS / 2
    assert refused.total() == told.count("skipped; reason=overloaded")
    own = [hit["_id"] for hit in toy_index.first_stage(10)]
    assert all(page == own for page, words in zip(pages, told, strict=True) if words != "applied")


def begun(url: str, toy: ToyIndex) -> http.client.HTTPConnection:
    """Send a search, and leave its answer to be read."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    body = json.dumps({"query": toy.query})
    connection.request("POST", f"/{toy.name}/_search", body, {"Content-Type": "application/json"})
    return connection


def is_applied(url: str, toy: ToyIndex) -> bool:
    return search(url, toy.name, {"query": toy.query}).rerank_status.startswith("applied")


def num_unread(url: str, count: int) -> int:
    """Return how many bytes a server has not read yet, -1 if fewer connections than `count` have come."""
    port = f":{urlsplit(url).port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    unread = [int(row[4].partition(":")[2], 16) for row in rows if row[1].endswith(port) and row[3] == "01"]
    return sum(unread) if len(unread) >= count else -1


def refused_by_queue(url: str) -> Counter[str]:
    metrics = ask(url, "GET", "/_plugins/_rerank/metrics").body.decode()
    found = re.findall(r'^twinrank_searches_refused_total\{queue="(\w+)"\} (\S+)$', metrics, re.MULTILINE)
    return Counter({queue: int(float(value)) for queue, value in found})


@pytest.fixture
def crowded(toy_index: ToyIndex) -> Iterator[Client]:
    """Yield a client of a proxy that answers another request, and whose encoder has work for a long time."""
    model = Model.load(toy_index.bundle)
    model.query_vectors.encoding_s = 1e9
    with closing(Upstream(toy_index.url)) as upstream, model.in_flight.one():
        yield Client(Proxy(upstream, model))


@pytest.fixture
def queues(toy_index: ToyIndex) -> Iterator[Client]:
    """Yield a client of a proxy before whose worker more requests wait than may."""
    model = Model.load(toy_index.bundle)
    for _ in range(MAX_WAITING_REQUESTS):
        request_queue.add()
    with closing(Upstream(toy_index.url)) as upstream:
        yield Client(Proxy(upstream, model))
    for _ in range(MAX_WAITING_REQUESTS):
        request_queue.remove()


PLAIN: list[dict[str, object]] = [
    {},
    {"size": 3, "_source": False},
    {"fields": ["*"]},
    {"highlight": {"fields": {"*": {}}}, "track_total_hits": False},
]
OTHER: list[dict[str, object]] = [
    {"from": 2},
    {"sort": ["_doc"]},
    {"ext": {"rerank": {"window_size": 5}}},
    {"ext": {"rerank": {"window_size": "many"}}},
    {"ext": {"rerank": {"on_failure": "error"}}},
    {"size": 0},
    {"size": -1},
    {"unknown": 1},
]


@pytest.mark.live
@pytest.mark.parametrize("asked", [*PLAIN, *OTHER], ids=str)
def test_a_search_refused_before_it_is_planned_is_answered_as_one_refused_afterwards(
    toy_index: ToyIndex,
    queues: Client,
    crowded: Client,
    monkeypatch: pytest.MonkeyPatch,
    asked: dict[str, object],
) -> None:
    """The worker's own queues refuse it before; afterwards the encoder's does, which needs its plan."""
    plans = Mock(side_effect=SearchPlanner.plan)
    monkeypatch.setattr(SearchPlanner, "plan", lambda *arguments, **options: plans(*arguments, **options))
    early = answered(queues, toy_index, asked)
    assert plans.called == (asked in OTHER)
    monkeypatch.setattr(request_queue, "length", 0)
    late = answered(crowded, toy_index, asked)
    assert plans.called
    assert early == late


def answered(proxy: Client, toy: ToyIndex, asked: dict[str, object]) -> tuple[int, str, dict[str, object]]:
    """Return a search's status, what became of it, and its answer without its times."""
    answer = proxy.post(f"/{toy.name}/_search", json={"query": toy.query, **asked}, buffered=True)
    told = {name: value for name, value in (answer.json or {}).items() if name != "took"}
    return answer.status_code, answer.headers.get("Rerank-Status", ""), told


@pytest.mark.live
def test_the_next_page_of_a_search_that_was_refused_unplanned_is_not_reranked_either(
    toy_index: ToyIndex, queues: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answered(queues, toy_index, {"size": 4})[1] == "skipped; reason=overloaded"
    monkeypatch.setattr(request_queue, "length", 0)
    assert answered(queues, toy_index, {"size": 4, "from": 4})[1] == "skipped; reason=earlier_page"
    assert answered(queues, toy_index, {"size": 4})[1].startswith("applied")


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

"""One client beside two processes that spin: nothing is refused, and its pages agree.

What is judged is what was answered, not how fast: `deadline` may come, and all pages of a search follow it.
"""

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from plugin.harness.proxy_process import running_proxy
from reranker.bundle import DEFAULT_BUNDLE, Bundle
from tests.support.http.raw_http import ask, ids, search
from tests.support.indices.toy_index import ToyIndex, index_body, make_toy_index

pytestmark = pytest.mark.live

NUM_DOCUMENTS = 130
SPINNERS = 2


@pytest.fixture(scope="module")
def busy(client: OpenSearch, opensearch_url: str) -> Iterator[ToyIndex]:
    """Yield an index with the default deadline, while other processes use up every processor."""
    bundle = Bundle.open(DEFAULT_BUNDLE)
    toy = make_toy_index(client, opensearch_url, bundle, "busy-machine", NUM_DOCUMENTS)
    meta = index_body(bundle, deadline_ms=50)["mappings"]["_meta"]
    client.indices.put_mapping(index=toy.name, body={"_meta": meta})
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(SPINNERS)]
    yield toy
    for each in spinning:
        each.kill()
        each.wait()


@pytest.fixture(scope="module")
def url(busy: ToyIndex, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield a proxy with two workers there."""
    folder = tmp_path_factory.mktemp("busy")
    with running_proxy(busy.url, folder, bundle=DEFAULT_BUNDLE, arguments=["--workers", "2"]) as proxy:
        yield proxy.url


def query(busy: ToyIndex, text: object) -> dict[str, object]:
    return {"match": {"text": f"{busy.query_text} {text}"}}


def test_none_of_a_lone_clients_searches_is_refused(busy: ToyIndex, url: str, is_long: bool) -> None:
    told: Counter[str] = Counter()
    for number in range(1_000 if is_long else 150):
        answer = search(url, busy.name, {"query": query(busy, f"x{number}")})
        told[answer.rerank_status.partition("; window")[0]] += 1
    sys.stdout.write(f"{dict(told)}\n")
    assert told["applied"] > 0
    assert set(told) <= {"applied", "skipped; reason=deadline"}


def test_the_pages_of_a_search_show_each_hit_once(busy: ToyIndex, url: str, is_long: bool) -> None:
    """In pages of random sizes, up to behind the window; each request may meet another worker."""
    drawn, everything, told = random.Random(11), sorted(map(str, range(NUM_DOCUMENTS))), Counter[str]()
    for number in range(200 if is_long else 30):
        found: list[str] = []
        while len(found) < NUM_DOCUMENTS:
            page = {"from": len(found), "size": drawn.choice([7, 10, 10, 20, 45])}
            answer = search(url, busy.name, {"query": query(busy, f"y{number}"), **page})
            told[answer.rerank_status.partition("; window")[0]] += 1
            found += ids(answer)
        assert sorted(found) == everything, (number, told)
    metrics = ask(url, "GET", "/_plugins/_rerank/metrics").body.decode()
    sys.stdout.write(f"{dict(told)}\n")
    assert "twinrank_pages_disagree_total 0.0" in metrics
    status = json.loads(ask(url, "GET", "/_plugins/_rerank/status").body)
    assert status["admission"]["num_waiting"] == 0


def test_the_proxys_log_names_no_fault(url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    logs = [file.read_text() for file in Path(tmp_path_factory.getbasetemp()).glob("busy*/proxy.log")]
    assert logs
    assert not any("Traceback" in log for log in logs)

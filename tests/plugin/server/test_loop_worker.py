"""What a worker with an event loop tells of itself, and that its searches need no threads."""

import gzip
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from plugin.harness.proxy_process import running_proxy
from plugin.server.client_options import ASYNC
from plugin.server.gunicorn_app import THREADS
from plugin.server.loop_proxy import MAX_BODY_BYTES
from tests.support.cores import core_arguments
from tests.support.http.raw_http import ask
from tests.support.http.raw_wire import kept_upstream
from tests.support.metrics_text import METRICS, numbers
from tests.support.paths import TINY_BUNDLE
from tests.support.waiting import until

NUM_PASSED = 5
NUM_AT_ONCE = THREADS + 8


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a proxy with one such worker, which has passed requests through."""
    arguments = ["--workers", "1", *core_arguments(ASYNC)]
    with (
        kept_upstream() as upstream,
        running_proxy(
            upstream.url, tmp_path_factory.mktemp("proxy"), bundle=TINY_BUNDLE, arguments=arguments
        ) as proxy,
    ):
        for _ in range(NUM_PASSED):
            assert ask(proxy.url, "GET", "/_count").status == 200
        yield proxy.url


def counted(url: str, name: str) -> float:
    """Return one of the proxy's numbers."""
    return numbers(ask(url, "GET", METRICS).body.decode())[name]


def test_waits_of_what_never_leaves_the_loop_are_counted_too(url: str) -> None:
    assert counted(url, "twinrank_request_wait_seconds_count") > NUM_PASSED


def test_the_loops_lag_is_measured(url: str) -> None:
    until(lambda: counted(url, "twinrank_loop_lag_seconds_count") > 0, "a beat")


def test_the_status_page_shows_the_loops_connections(url: str) -> None:
    [host] = json.loads(ask(url, "GET", "/_plugins/_rerank/status").body)["opensearch"]
    assert host["num_idle"] >= 2, "one of the threads, one of the loop"


@pytest.mark.parametrize("query", ["", "?q=a"])
def test_more_searches_wait_for_opensearch_than_there_are_threads(
    tmp_path_factory: pytest.TempPathFactory, query: str
) -> None:
    all_here = threading.Barrier(NUM_AT_ONCE)

    def wait_for_all(head: bytes) -> None:
        if b"/shop/_search" in head:
            all_here.wait(60)

    arguments = ["--workers", "1", *core_arguments(ASYNC)]
    folder = tmp_path_factory.mktemp("proxy")
    with (
        kept_upstream(before_answer=wait_for_all) as upstream,
        running_proxy(upstream.url, folder, bundle=TINY_BUNDLE, arguments=arguments) as proxy,
        ThreadPoolExecutor(NUM_AT_ONCE) as clients,
    ):
        asked = [
            clients.submit(ask, proxy.url, "POST", f"/shop/_search{query}", b"{}") for _ in range(NUM_AT_ONCE)
        ]
        assert {each.result().status for each in asked} == {200}


@pytest.mark.parametrize("coding", ["long", "gzip"])
def test_a_search_that_takes_long_to_be_read_is_answered_too(url: str, coding: str) -> None:
    body = b'{"query":{"match":{"text":"%b"}}}' % (b"a " * MAX_BODY_BYTES)
    headers = {"Content-Type": "application/json"}
    if coding == "gzip":
        body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
    assert ask(url, "POST", "/shop/_search", body, headers).status == 200

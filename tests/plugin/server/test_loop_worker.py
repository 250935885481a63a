"""What a worker with an event loop tells of itself: waits, the loop's lag, and connections to OpenSearch."""

import json
from collections.abc import Iterator

import pytest

from plugin.harness.proxy_process import running_proxy
from plugin.server.client_options import ASYNC
from tests.support.cores import core_arguments
from tests.support.http.raw_http import ask
from tests.support.http.raw_wire import kept_upstream
from tests.support.metrics_text import METRICS, numbers
from tests.support.paths import TINY_BUNDLE
from tests.support.waiting import until

NUM_PASSED = 5


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

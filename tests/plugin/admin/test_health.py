"""Health: what is asked of OpenSearch, how often, and what those who ask are told."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from plugin.admin.health import FRESH_S, Readiness
from plugin.harness.proxy_process import free_port, running_proxy
from plugin.settings.poller import SettingsPoller
from plugin.upstream.client import Upstream
from tests.support.http.raw_http import ask
from tests.support.http.relay import Relay
from tests.support.paths import TINY_BUNDLE
from tests.support.waiting import until

HEALTH = "/_plugins/_rerank/health"


class Counting(ThreadingHTTPServer):
    """Answers every request with one status, once it may, and counts them."""

    daemon_threads = True

    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.num_requests, self.may_answer = status, 0, threading.Event()
        self.may_answer.set()

    @property
    def upstream(self) -> Upstream:
        return Upstream(f"http://127.0.0.1:{self.server_port}")


class _Handler(BaseHTTPRequestHandler):
    server: Counting

    def do_GET(self) -> None:
        self.server.num_requests += 1
        self.server.may_answer.wait(30)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # its name there
        pass


@pytest.fixture(params=[200, 401, 503])
def server(request: pytest.FixtureRequest) -> Iterator[Counting]:
    with Counting(request.param) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.may_answer.set()
        running.shutdown()
        thread.join()


def test_opensearch_hears_of_it_once_a_second(server: Counting) -> None:
    now_s = [0.0]
    readiness = Readiness(server.upstream, clock=lambda: now_s[0])
    with ThreadPoolExecutor(8) as pool:
        found = {one.result().status for one in [pool.submit(readiness.check_opensearch) for _ in range(50)]}
    assert (found, server.num_requests) == ({server.status}, 1)
    now_s[0] += FRESH_S
    assert readiness.list_missing() == ([] if server.status < 500 else ["opensearch"])
    assert server.num_requests == 2


def test_a_silent_opensearch_is_asked_once_and_nobody_waits_for_it(
    server: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugin.admin.health.WAIT_S", 0.05)
    server.may_answer.clear()
    readiness = Readiness(server.upstream, clock=iter(range(100)).__next__)
    assert [readiness.list_missing() for _ in range(3)] == [["opensearch"]] * 3
    assert server.num_requests == 1


def test_settings_are_missing_until_the_first_look(server: Counting, tmp_path: Path) -> None:
    server.status = 401
    poller = SettingsPoller(server.upstream, (), tmp_path, {})
    readiness = Readiness(server.upstream, (), poller)
    assert readiness.list_missing() == ["settings"]
    poller.start()
    for _ in range(200):
        if not readiness.list_missing():
            break
        threading.Event().wait(0.1)
    poller.stop()
    assert readiness.list_missing() == [], "a refusal is an answer: settings are read as each caller then"


@pytest.mark.live
def test_a_proxy_without_opensearch_is_live_and_not_ready(tmp_path: Path) -> None:
    with running_proxy(f"http://127.0.0.1:{free_port()}", tmp_path, bundle=TINY_BUNDLE) as proxy:
        assert ask(proxy.url, "GET", f"{HEALTH}/live").status == 200
        ready = ask(proxy.url, "GET", f"{HEALTH}/ready")
        assert ready.status == 503
        assert "opensearch" in json.loads(ready.body)["missing"]


@pytest.mark.live
def test_a_proxy_beside_opensearch_is_ready(proxy_url: str) -> None:
    for name in ("live", "ready"):
        assert ask(proxy_url, "GET", f"{HEALTH}/{name}").status == 200
    assert ask(proxy_url, "POST", f"{HEALTH}/ready").status == 405


@pytest.mark.live
def test_a_worker_answers_when_it_knows_the_settings(opensearch_url: str, tmp_path: Path) -> None:
    """OpenSearch is slow when the proxy starts: whoever is answered first finds it ready."""
    relay = Relay(opensearch_url)
    relay.hold()

    def pass_on() -> None:
        until(lambda: relay.num_held > 0, "a first look at the settings")
        time.sleep(1.0)  # in which a worker that does not wait would answer
        relay.release()

    holding = threading.Thread(target=pass_on)
    holding.start()
    try:
        with running_proxy(relay.url, tmp_path, bundle=TINY_BUNDLE, arguments=["--workers", "2"]) as proxy:
            answers = [ask(proxy.url, "GET", "/_plugins/_rerank/health/ready") for _ in range(20)]
    finally:
        holding.join()
        relay.cut()
    assert {(answer.status, answer.body) for answer in answers} == {(200, answers[0].body)}


@pytest.mark.live
def test_a_worker_answers_though_opensearch_never_does(opensearch_url: str, tmp_path: Path) -> None:
    relay = Relay(opensearch_url)
    relay.hang()
    try:
        with running_proxy(relay.url, tmp_path, bundle=TINY_BUNDLE) as proxy:
            answer = ask(proxy.url, "GET", "/_plugins/_rerank/health/ready")
    finally:
        relay.cut()
    assert (answer.status, "opensearch" in json.loads(answer.body)["missing"]) == (503, True)

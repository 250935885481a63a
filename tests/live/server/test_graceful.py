"""No accepted request is dropped: at SIGTERM, at SIGHUP, and while two proxies are restarted in turn."""

import json
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from plugin.harness.proxy_process import ProxyProcess, free_port, running_proxy, start_proxy, stop_proxy
from tests.support.cores import CORES, core_arguments
from tests.support.http.raw_http import RawAnswer, search
from tests.support.indices.toy_index import ToyIndex
from tests.support.paths import TINY_BUNDLE
from tests.support.processes import children_of
from tests.support.searches.slow_filter import SLOW
from tests.support.searches.steady_traffic import steady_traffic
from tests.support.waiting import until

pytestmark = pytest.mark.live


@pytest.fixture(params=CORES)
def core(request: pytest.FixtureRequest) -> list[str]:
    """Return the arguments that choose each core."""
    return core_arguments(request.param)


def log(folder: Path) -> str:
    return (folder / "proxy.log").read_text()


def test_sigterm_answers_what_was_accepted_and_closes(
    toy_index: ToyIndex, tmp_path: Path, core: list[str]
) -> None:
    answers: list[RawAnswer] = []
    slow = {"query": {"bool": {"filter": SLOW, "must": toy_index.query}}}
    with running_proxy(toy_index.url, tmp_path, bundle=TINY_BUNDLE, arguments=core) as proxy:
        in_flight = threading.Thread(target=lambda: answers.append(search(proxy.url, toy_index.name, slow)))
        with steady_traffic([proxy.url], f"/{toy_index.name}/_search", {"query": toy_index.query}) as traffic:
            traffic.wait_for(20)
            in_flight.start()
            traffic.wait_for(5)
            os.kill(proxy.child.pid, signal.SIGTERM)
            until(lambda: traffic.num_refused > 0)
        in_flight.join(60)
        assert proxy.child.wait(60) == 0
    assert not traffic.failures
    assert [answer.status for answer in answers] == [200]


def test_workers_that_are_stopped_while_they_begin_end_without_an_error(
    toy_index: ToyIndex, tmp_path: Path, core: list[str]
) -> None:
    """And what they had accepted is answered."""
    stopped: set[int] = set()
    with (
        running_proxy(toy_index.url, tmp_path, bundle=TINY_BUNDLE, arguments=core) as proxy,
        steady_traffic([proxy.url], f"/{toy_index.name}/_search", {"query": toy_index.query}) as traffic,
    ):
        traffic.wait_for(5)
        before = set(children_of(proxy.child.pid))

        def has_stopped_some() -> bool:
            for worker in set(children_of(proxy.child.pid)) - stopped:
                os.kill(worker, signal.SIGTERM)
                stopped.add(worker)
            return len(stopped) >= len(before) + 6

        until(has_stopped_some)
        traffic.wait_for(20)
    assert "Exception in worker process" not in log(tmp_path)
    assert not traffic.failures


def test_sighup_has_new_workers_answer_before_the_old_ones_stop(
    toy_index: ToyIndex, tmp_path: Path, core: list[str]
) -> None:
    """New settings hold; settings that cannot be read change nothing; nothing is refused or dropped."""
    settings = tmp_path / "settings.json"
    settings.write_text('{"window_size": 7}')
    arguments = ["--settings", str(settings), *core]
    target, body = f"/{toy_index.name}/_search", {"query": toy_index.query}
    with (
        running_proxy(toy_index.url, tmp_path, bundle=TINY_BUNDLE, arguments=arguments) as proxy,
        steady_traffic([proxy.url], target, body) as traffic,
    ):
        traffic.wait_for(20)
        old = children_of(proxy.child.pid)
        settings.write_text('{"window_size": 5}')
        _hang_up(proxy, partial(_has_none_of, proxy, set(old)))
        traffic.wait_for(20)
        new = children_of(proxy.child.pid)
        for number, wrong in enumerate(("{", '{"window_size": "wide"}'), 1):
            settings.write_text(wrong)
            _hang_up(proxy, partial(_has_refused, tmp_path, number))
        traffic.wait_for(20)
        assert children_of(proxy.child.pid) == new
    assert (traffic.failures, traffic.num_refused) == ({}, 0)
    assert {answer.split(";")[1] for answer in traffic.answers_in_time} == {" window=7", " window=5"}


def _has_refused(folder: Path, number: int) -> bool:
    return log(folder).count("not reloaded, the workers keep") == number


def _has_none_of(proxy: ProxyProcess, workers: set[int]) -> bool:
    return not workers & set(children_of(proxy.child.pid))


def _hang_up(proxy: ProxyProcess, done: Callable[[], bool]) -> None:
    os.kill(proxy.child.pid, signal.SIGHUP)
    until(done)


def test_one_reload_after_another_loses_nothing(
    toy_index: ToyIndex, tmp_path: Path, is_long: bool, core: list[str]
) -> None:
    with (
        running_proxy(toy_index.url, tmp_path, bundle=TINY_BUNDLE, arguments=core) as proxy,
        steady_traffic([proxy.url], f"/{toy_index.name}/_search", {"query": toy_index.query}) as traffic,
    ):
        for _ in range(120 if is_long else 2):
            traffic.wait_for(10)
            old = set(children_of(proxy.child.pid))
            _hang_up(proxy, partial(_has_none_of, proxy, old))
    assert (traffic.failures, traffic.num_refused) == ({}, 0)


def test_two_proxies_are_restarted_in_turn(
    toy_index: ToyIndex, tmp_path: Path, is_long: bool, core: list[str]
) -> None:
    """A client that tries the next address where it gets no connection loses nothing."""
    folders = [tmp_path / "a", tmp_path / "b"]
    ports = [free_port() for _ in folders]
    with ExitStack() as running:
        children = []
        for folder, port in zip(folders, ports, strict=True):
            folder.mkdir()
            children.append(start_proxy(toy_index.url, folder, port=port, bundle=TINY_BUNDLE, arguments=core))
            running.callback(children[-1].child.wait)
            running.callback(stop_proxy, folder)
        urls = [proxy.url for proxy in children]
        with steady_traffic(urls, f"/{toy_index.name}/_search", {"query": toy_index.query}) as traffic:
            for number in range(80 if is_long else 1):
                at = number % 2
                traffic.wait_for(20)
                assert stop_proxy(folders[at])
                children[at].child.wait()
                traffic.wait_for(20)
                again = start_proxy(
                    toy_index.url, folders[at], port=ports[at], bundle=TINY_BUNDLE, arguments=core
                )
                children[at] = again
                running.callback(again.child.wait)
                running.callback(stop_proxy, folders[at])
    assert not traffic.failures
    assert {answer[:7] for answer in traffic.answers_in_time} == {"applied"}


def test_the_last_answer_says_that_the_connection_closes(
    toy_index: ToyIndex, tmp_path: Path, core: list[str]
) -> None:
    """A kept connection is still answered for a moment after SIGTERM, and told that it ends."""
    body = json.dumps({"query": toy_index.query}).encode()
    head = f"POST /{toy_index.name}/_search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    request = head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with running_proxy(toy_index.url, tmp_path, bundle=TINY_BUNDLE, arguments=core) as proxy:
        parts = urlsplit(proxy.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=60) as kept:
            kept.sendall(request)
            assert b"connection: keep-alive" in kept.recv(65536).lower()
            os.kill(proxy.child.pid, signal.SIGTERM)
            until(lambda: "Handling signal: term" in log(tmp_path))
            kept.sendall(request)
            answer = b"".join(iter(lambda: kept.recv(65536), b""))
        _, begins, last = answer.rpartition(b"HTTP/1.1 200")  # the end of the first may come late
        assert begins
        assert b"connection: close" in last.lower()

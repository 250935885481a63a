"""Options of `serve` that say how long and how much of a client is waited for."""

import json
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from plugin.harness.proxy_process import running_proxy
from plugin.server.client_options import KEEP_ALIVE_S
from plugin.server.keep_alive import GRACE_S
from tests.support.cores import CORES, core_arguments
from tests.support.http.raw_wire import exchanged, kept_upstream, statuses
from tests.support.paths import TINY_BUNDLE

SHORT = ["--keep-alive", "1", "--request-timeout", "1", "--stall-timeout", "1", "--max-head-bytes", "8192"]


@pytest.fixture(scope="module", params=CORES)
def core(request: pytest.FixtureRequest) -> str:
    """Return each core."""
    return str(request.param)


@pytest.fixture(scope="module")
def short(core: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a proxy that waits for no client longer than a second."""
    folder = tmp_path_factory.mktemp("proxy")
    with (
        kept_upstream() as kept,
        running_proxy(
            kept.url, folder, bundle=TINY_BUNDLE, arguments=[*SHORT, *core_arguments(core), "--workers", "1"]
        ) as proxy,
    ):
        yield proxy.url


def keep_alive(url: str, headers: dict[str, str]) -> tuple[str | None, str | None]:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=20)
    connection.request("GET", "/", headers=headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.getheader("Keep-Alive"), answer.getheader("Connection")


def test_a_connection_that_is_kept_says_for_how_long(short: str) -> None:
    assert keep_alive(short, {}) == ("timeout=1", "keep-alive")
    assert keep_alive(short, {"Connection": "close"}) == (None, "close")


def test_it_is_kept_for_longer_than_it_says_and_then_closed(short: str) -> None:
    parts = urlsplit(short)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=GRACE_S + 20) as wire:
        wire.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert wire.recv(65536).startswith(b"HTTP/1.1 200")
        received = b"?"
        while received:
            received = wire.recv(65536)


def test_by_default_it_is_kept_for_longer_than_clients_and_balancers_keep_it(
    core: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, arguments = tmp_path_factory.mktemp("proxy"), core_arguments(core)
    with (
        kept_upstream() as kept,
        running_proxy(kept.url, folder, bundle=TINY_BUNDLE, arguments=arguments) as proxy,
    ):
        assert keep_alive(proxy.url, {}) == (f"timeout={KEEP_ALIVE_S}", "keep-alive")


def test_none_is_kept_where_that_is_asked(core: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("proxy")
    arguments = ["--keep-alive", "0", *core_arguments(core)]
    with (
        kept_upstream() as kept,
        running_proxy(kept.url, folder, bundle=TINY_BUNDLE, arguments=arguments) as proxy,
    ):
        assert keep_alive(proxy.url, {}) == (None, "close")


@pytest.mark.parametrize(
    "part", [b"GET /", b"GET / HTTP/1.1\r\nHost: a\r\n", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n{"]
)
def test_a_request_that_does_not_come_is_answered_408(short: str, part: bytes) -> None:
    received = exchanged(short, part)
    assert statuses(received) == [408]
    told = json.loads(received.partition(b"\r\n\r\n")[2])
    assert told["error"]["reason"] == "expected a whole request within 1 s, found a part of one"


def test_a_long_body_that_stalls_is_cut(short: str) -> None:
    begun = b"POST /i/_doc HTTP/1.1\r\nHost: a\r\nContent-Length: 999999\r\n\r\n{"
    assert statuses(exchanged(short, begun, timeout_s=20)) in ([], [499])


@pytest.mark.parametrize(("raw", "status"), [
    (b"GET /?" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"x" * 9000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"x" * 7000 + b"\r\n\r\n", 200),
])  # fmt: skip
def test_a_head_over_the_limit_is_refused(short: str, raw: bytes, status: int) -> None:
    received = exchanged(short, raw)
    assert statuses(received) == [status]
    assert (status == 200) is (b"--max-head-bytes of twinrank serve sets the limit" not in received)

"""What one client's request leaves behind in the proxy must not be met by another client's.

Connections, hosts that are left out, and what is kept of settings; the breaker of searches has its own suite
(`test_widened_faults`), and so has a client that goes (`test_client_gone`).
"""

import errno
import json
import logging
import os
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest
from werkzeug.test import Client

from plugin.encoding.model import Model
from plugin.encoding.query_encoder import MAX_FAULTS
from plugin.errors import RequestBodyError, UpstreamError, UpstreamTimeoutError
from plugin.http.headers import Headers
from plugin.http.request_context import ClientDisconnectedError
from plugin.proxy import Proxy
from plugin.settings.cache import SettingsCache
from plugin.upstream import connection
from plugin.upstream.client import Upstream
from plugin.upstream.connection import SURELY_READ_BYTES
from reranker.bundle import Bundle
from tests.support.http.raw_http import ask
from tests.support.http.relay import Relay
from tests.support.http.scripted_upstream import NO_BODY, http_answer, scripted
from tests.support.http.upstream_hosts import left_out, url_of
from tests.support.indices.toy_index import ToyIndex
from tests.support.paths import TINY_BUNDLE
from tests.support.waiting import until

LONG = "a" * 20_000
JSON: Headers = (("Content-Type", "application/json"),)


def num_idle(upstream: Upstream) -> int:
    return sum(host.num_idle for host in upstream.hosts())


def streamed(upstream: Upstream, method: str, body: object = b"", length: int | None = 0) -> int:
    """Send a request block by block, read its answer, and return the status."""
    with closing(upstream.stream(method, "/", (), body, length, may_repeat=method == "GET")) as answer:  # type: ignore[arg-type]
        list(answer)
        return answer.status


@pytest.mark.live
@pytest.mark.parametrize(("method", "target", "headers", "body"), [
    ("GET", "/", (("Authorization", f"Bearer {LONG}"),), b""),
    ("GET", "/", tuple((f"X-{n}", LONG[:1000]) for n in range(20)), b""),
    ("HEAD", "/", (("Cookie", LONG),), b""),
    ("POST", "/_search", (*JSON, ("X-Opaque-Id", LONG)), b'{"size":0}'),
    ("GET", f"/_cat/health?h={LONG[:5000]}", (), b""),
])  # fmt: skip
def test_a_connection_is_not_kept_after_a_head_that_opensearch_does_not_read(
    opensearch_url: str, method: str, target: str, headers: Headers, body: bytes
) -> None:
    """OpenSearch answers 400, keeps the connection open, and never reads from it again."""
    with closing(Upstream(opensearch_url, read_timeout_s=10)) as upstream:
        assert upstream.exchange("GET", "/", ()).status == 200
        assert num_idle(upstream) == 1
        assert upstream.exchange(method, target, headers, body).status == 400
        assert num_idle(upstream) == 0
        assert upstream.exchange("GET", "/", ()).status == 200


@pytest.mark.live
def test_long_heads_of_one_client_hold_nobody_up(proxy_url: str) -> None:
    statuses: list[int] = []

    def asking(headers: dict[str, str]) -> None:
        statuses.append(ask(proxy_url, "GET", "/_cluster/health", None, headers).status)

    for headers in ({}, {"Authorization": f"Bearer {LONG}"}, {}):
        threads = [threading.Thread(target=asking, args=(headers,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [200] * 8 + [400] * 8 + [200] * 8


@pytest.mark.live
def test_a_connection_is_kept_after_a_400_for_what_a_request_says(opensearch_url: str) -> None:
    """Else one client's wrong queries would cost OpenSearch a handshake each, and this machine its ports."""
    with closing(Upstream(opensearch_url)) as upstream:
        assert upstream.exchange("POST", "/_search", JSON, b'{"query":').status == 400
        assert num_idle(upstream) == 1


@pytest.mark.parametrize("status", [400, 408, 413, 414, 417, 431, 501, 502, 504, 505])
def test_a_connection_is_not_kept_after_a_status_that_may_come_unread(status: int) -> None:
    headers = (("X-A", "a" * SURELY_READ_BYTES),)
    with scripted(http_answer(status, {}), NO_BODY) as url, closing(Upstream(url)) as upstream:
        assert upstream.exchange("GET", "/", headers).status == status
        assert num_idle(upstream) == 0


@contextmanager
def early(answer: bytes) -> Iterator[tuple[str, threading.Event]]:
    """Run an upstream that answers as soon as it has a head, and then takes what comes; tell when it has."""
    answered, is_over = threading.Event(), threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            wire, _ = listener.accept()
            with wire:
                wire.recv(65536)
                wire.sendall(answer)
                answered.set()
                is_over.wait(20)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", answered
    is_over.set()
    listener.close()
    thread.join()


@pytest.mark.parametrize("length", [None, 10])
def test_a_connection_is_not_kept_after_an_answer_before_the_body_was_sent(length: int | None) -> None:
    with early(http_answer(401, {})) as (url, answered), closing(Upstream(url)) as upstream:

        def body() -> Iterator[bytes]:
            yield b"first"
            assert answered.wait(20)
            yield b"later"

        assert streamed(upstream, "POST", body(), length) == 401
        assert num_idle(upstream) == 0


def test_an_answer_is_given_though_the_rest_of_the_body_is_not_taken() -> None:
    """Nobody reads the megabytes that follow, and nobody closes the connection."""
    blocks = (b"x" * 1_000_000 for _ in range(64))
    with early(http_answer(413, {})) as (url, _), closing(Upstream(url, read_timeout_s=0.5)) as upstream:
        assert streamed(upstream, "POST", blocks, None) == 413
        assert num_idle(upstream) == 0


def test_an_interim_answer_is_not_the_answer() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    with scripted(hints + http_answer(200, {"a": 1}), NO_BODY) as url, closing(Upstream(url)) as upstream:
        found = upstream.exchange("GET", "/", ())
        assert (found.status, json.loads(found.body)) == (200, {"a": 1})
        assert upstream.exchange("GET", "/", ()).body == b""


@pytest.mark.parametrize(
    "error", [ClientDisconnectedError("gone"), OSError(errno.ENOSPC, "No space left on device")]
)
def test_a_connection_is_not_kept_after_a_body_that_breaks_off(error: Exception) -> None:
    """The client has gone, or our own disk is full: neither is OpenSearch's fault."""

    def body() -> Iterator[bytes]:
        yield b"first"
        raise error

    two = "http://127.0.0.1:1"
    with scripted(NO_BODY) as one, closing(Upstream(url_of(one, two))) as upstream:
        with pytest.raises((ClientDisconnectedError, RequestBodyError)):
            streamed(upstream, "POST", body(), 1000)
        assert (num_idle(upstream), left_out(upstream)) == (0, [False, False])


def test_what_must_not_be_repeated_takes_no_connection_that_was_idle_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A script is one connection's: each request that takes a new one leaves the kept one where it is."""
    with scripted(*[NO_BODY] * 3) as url, closing(Upstream(url)) as upstream:
        assert streamed(upstream, "GET") == 200
        assert streamed(upstream, "POST") == 200, "a moment later it is used"
        assert num_idle(upstream) == 1
        kept = upstream._hosts._all[0]
        monkeypatch.setattr(connection, "MAX_IDLE_WRITE_S", 0.0)
        assert kept.take_idle(may_repeat=False) is None
        assert num_idle(upstream) == 1
        assert streamed(upstream, "GET") == 200, "a read may still use it, since it can be repeated"


@pytest.mark.parametrize("header", [b"Keep-Alive: timeout=1", b"Keep-Alive: max=5, timeout=1"])
def test_a_connection_is_used_no_longer_than_the_other_side_says_that_it_keeps_it(header: bytes) -> None:
    closing_soon = NO_BODY.replace(b"\r\n\r\n", b"\r\n" + header + b"\r\n\r\n")
    with scripted(closing_soon, NO_BODY) as url, closing(Upstream(url)) as upstream:
        assert streamed(upstream, "GET") == 200
        assert upstream._hosts._all[0].take_idle(may_repeat=True) is None
        assert num_idle(upstream) == 0


@pytest.fixture
def two_hosts(opensearch_url: str) -> Iterator[str]:
    """Yield two wires to the one OpenSearch."""
    relays = [Relay(opensearch_url) for _ in range(2)]
    yield url_of(*(relay.url for relay in relays))
    for relay in relays:
        relay.cut()


@pytest.mark.live
@pytest.mark.parametrize(("method", "headers", "error"), [
    ("FOO", (), UpstreamError),
    ("POST", (*JSON, ("Content-Encoding", "zstd")), UpstreamError),
    ("GET", (("Accept", ";;;"),), UpstreamTimeoutError),
])  # fmt: skip
def test_a_request_that_opensearch_leaves_unanswered_takes_no_host_from_others(
    two_hosts: str,
    method: str,
    headers: Headers,
    error: type[UpstreamError],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """OpenSearch 3.8 closes the connection over two of these, and never answers the third."""
    with closing(Upstream(two_hosts, read_timeout_s=1.0)) as upstream, caplog.at_level(logging.INFO):
        for _ in range(2):
            with pytest.raises(error):
                upstream.stream(method, "/_search", headers, b"{}", 2, may_repeat=True)
        assert upstream.exchange("GET", "/", ()).status == 200
        until(lambda: left_out(upstream) == [False, False])
    assert "does not answer" not in caplog.text


@pytest.mark.live
@pytest.mark.parametrize("accept", [";", ";;;", " ; "])
def test_a_header_that_opensearch_never_answers_holds_no_thread(proxy_url: str, accept: str) -> None:
    assert ask(proxy_url, "GET", "/_cluster/health", None, {"Accept": accept}).status == 200


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_want_of_files_takes_no_host_away() -> None:
    """A client with many connections may use them up; the hosts are not to blame."""
    with closing(Upstream("http://127.0.0.1:1,http://127.0.0.2:1")) as upstream:
        with no_more_files(), pytest.raises(UpstreamError, match="Too many open files"):
            upstream.exchange("GET", "/", ())
        assert left_out(upstream) == [False, False]


@pytest.mark.live
@pytest.mark.parametrize(("method", "path", "body", "forgets"), [
    ("PUT", "/{}/_mapping", b"{", 0),
    ("PUT", "/{}", b"{}", 0),
    ("DELETE", "/{}-nope", b"", 0),
    ("POST", "/_aliases", b'{"actions":[{"add":{"index":"nope","alias":"a"}}]}', 0),
    ("PUT", "/{}/_mapping", b"{}", 1),
])  # fmt: skip
def test_a_change_that_opensearch_refuses_forgets_no_settings(
    toy_index: ToyIndex, method: str, path: str, body: bytes, forgets: int
) -> None:
    """Anybody may send one, without rights too: others' searches would wait for their settings each time."""
    forgotten: list[int] = []
    with closing(Upstream(toy_index.url)) as upstream:
        settings = SettingsCache(upstream)
        settings.add_listener(lambda: forgotten.append(1))
        client = Client(Proxy(upstream, Model.load(Bundle.open(TINY_BUNDLE)), settings))
        target = path.format(toy_index.name)
        answer = client.open(target, method=method, data=body, headers=dict(JSON), buffered=True)
        assert (answer.status_code < 400, len(forgotten)) == (bool(forgets), forgets)


ODD_TEXTS = [
    "", " ", "\0", "\ud800", "\ufffe\uffff", "x" * 1_000_000, "a " * 200_000, "\u202e" * 10, "\x1b[31m",
    "e" + "\u0301" * 5000, "\U0010ffff", "[CLS] [SEP] [MASK] [PAD]", "##a", "\t\r\n", "\u6f22" * 9000,
]  # fmt: skip


def test_no_text_of_one_client_stops_the_encoder() -> None:
    vectors = Model.load(Bundle.open(TINY_BUNDLE)).query_vectors
    assert len(ODD_TEXTS) > MAX_FAULTS
    for text in ODD_TEXTS:
        future = vectors.submit(text)
        assert future is not None
        assert future.exception(60) is None
    assert vectors.state().breaker == "closed"

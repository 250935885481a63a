"""The hop on an event loop: what reaches an upstream, what comes back, and what is kept, byte by byte."""

import asyncio
import errno
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TypeVar

import pytest

from plugin.errors import RequestBodyError, UpstreamError, UpstreamTimeoutError
from plugin.harness.proxy_process import free_port
from plugin.http.headers import Headers, RawHeaders
from plugin.http.request_context import ClientDisconnectedError
from plugin.upstream import connection
from plugin.upstream.aws_signing import TooLongToSignError
from plugin.upstream.client import Exchange, Upstream
from plugin.upstream.connecting import Connecting
from plugin.upstream.connection import SURELY_READ_BYTES
from plugin.upstream.exchange import AsyncUpstream
from plugin.upstream.hop import HopRequest
from plugin.upstream.streamed_answer import MAX_BUFFERED_BYTES, MAX_HEAD_BYTES, StreamedAnswer
from tests.support.http.raw_upstream import Wire, answering, raw_upstream
from tests.support.http.tls_relay import make_certificates, tls_relay
from tests.support.http.upstream_hosts import left_out, url_of

Found = TypeVar("Found")

EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
GET = HopRequest(b"GET", b"/")
MEGABYTE = 1_000_000


@asynccontextmanager
async def hop(url: str, **options: float) -> AsyncIterator[AsyncUpstream]:
    with closing(Upstream(url, **options)) as upstream:  # type: ignore[arg-type]
        asked = AsyncUpstream(upstream)
        try:
            yield asked
        finally:
            asked.close()


def run(url: str, use: Callable[[AsyncUpstream], Awaitable[Found]], **options: float) -> Found:
    """Return what `use` finds with a hop to an upstream."""

    async def used() -> Found:
        async with hop(url, **options) as asked:
            return await use(asked)

    return asyncio.run(used())


async def read(answer: StreamedAnswer) -> bytes:
    try:
        return b"".join([block async for block in blocks_of(answer)])
    finally:
        answer.close()


async def blocks_of(answer: StreamedAnswer) -> AsyncIterator[bytes]:
    while block := await answer.read_block():
        yield block


def streamed(
    url: str, request: HopRequest, *, may_repeat: bool = False, **options: float
) -> tuple[StreamedAnswer, bytes, int]:
    """Send one request; return its answer, the body, and how many connections are kept then."""

    async def use(asked: AsyncUpstream) -> tuple[StreamedAnswer, bytes, int]:
        answer = await asked.stream(request, may_repeat=may_repeat)
        return answer, await read(answer), asked.num_idle

    return run(url, use, **options)


async def several(*blocks: bytes) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block


ODD: RawHeaders = (
    (b"X-Opaque-ID", b"\x80\xc3\xa9\xff"),
    (b"x-opaque-id", b"b"),
    (b"opendistro_security_impersonate_as", b"bob"),
    (b"X-Empty", b""),
)


@pytest.mark.parametrize("target", [b"/?", b"/a%2Fb//c/../d?x=%zz&y", b"/\x80\xc3\xa9?q=\xff", b"*"])
def test_a_request_arrives_as_it_was_given(target: bytes) -> None:
    with raw_upstream(answering(EMPTY)) as upstream:
        streamed(upstream.url, HopRequest(b"GET", target, ODD))
    lines = upstream.seen[0].split(b"\r\n")
    host = b"Host: " + upstream.url.removeprefix("http://").encode()
    assert lines == [b"GET %s HTTP/1.1" % target, host, *(b"%b: %b" % each for each in ODD), b"", b""]


@pytest.mark.parametrize(("request_", "ending"), [
    (HopRequest(b"POST", b"/", (), b"{}", 2), b"\r\nContent-Length: 2\r\n\r\n{}"),
    (HopRequest(b"POST", b"/"), b"\r\nContent-Length: 0\r\n\r\n"),
    (HopRequest(b"DELETE", b"/", (), b"{}", 2), b"\r\nContent-Length: 2\r\n\r\n{}"),
    (HopRequest(b"PUT", b"/", (), b"x" * MEGABYTE, MEGABYTE), b"\r\n\r\n" + b"x" * MEGABYTE),
])  # fmt: skip
def test_a_body_arrives_whole(request_: HopRequest, ending: bytes) -> None:
    with raw_upstream(answering(EMPTY)) as upstream:
        streamed(upstream.url, request_)
    assert upstream.seen[0].endswith(ending)


@pytest.mark.parametrize("length", [5, None])
def test_a_body_in_blocks_arrives_whole_whether_its_length_is_known_or_not(length: int | None) -> None:
    with raw_upstream(answering(EMPTY)) as upstream:
        streamed(upstream.url, HopRequest(b"POST", b"/", (), several(b"ab", b"", b"cde"), length))
    head, _, body = upstream.seen[0].partition(b"\r\n\r\n")
    assert body == b"abcde"
    assert (b"Transfer-Encoding: chunked" in head) is (length is None)


@pytest.mark.parametrize("request_", [
    HopRequest(b"GET", b"/", ((b"X-A", b"a\r\nX-B: b"),)),
    HopRequest(b"GET", b"/", ((b"X-A\nX-B", b"a"),)),
    HopRequest(b"GET", b"/", ((b"X-A", b"a\rb"),)),
    HopRequest(b"GET", b"/a b", ()),
    HopRequest(b"GET", b"/a\r\nX-B: b", ()),
    HopRequest(b"GET /x", b"/", ()),
])  # fmt: skip
def test_no_part_of_a_request_begins_another(request_: HopRequest) -> None:
    with raw_upstream(answering(EMPTY)) as upstream, pytest.raises(ValueError, match="expected no line end"):
        streamed(upstream.url, request_)
    assert not upstream.seen


def test_headers_of_an_answer_keep_bytes_case_order_and_repetition() -> None:
    head = b"".join(b"%b: %b\r\n" % each for each in ODD)
    answer = b"HTTP/1.1 299 Quite \xe9\r\n" + head + b"Connection: X-Gone\r\nX-Gone: 1\r\n"
    with raw_upstream(answering(answer + b"Content-Length: 2\r\n\r\n{}")) as upstream:
        found, body, _ = streamed(upstream.url, GET)
    assert (found.status, found.reason, body) == (299, b"Quite \xe9", b"{}")
    assert found.headers == (*ODD, (b"Content-Length", b"2"))


def test_a_head_of_64_kb_is_taken_and_one_without_end_is_not() -> None:
    big = b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 65536 + b"\r\nContent-Length: 0\r\n\r\n"
    endless = b"HTTP/1.1 200 OK\r\n" + (b"X-A: " + b"a" * 1000 + b"\r\n") * (MAX_HEAD_BYTES // 1000)
    with raw_upstream(answering(big)) as upstream:
        found, _, num_idle = streamed(upstream.url, GET)
        assert ([len(value) for _, value in found.headers], num_idle) == ([65536, 1], 1)
    with raw_upstream(answering(endless)) as upstream, pytest.raises(UpstreamError, match="1048576 bytes"):
        streamed(upstream.url, GET)


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_an_answer_in_pieces_is_the_same_answer(cut: int) -> None:
    head = b"HTTP/1.1 200 OK\r\nX-Long: value\r\nTransfer-Encoding: chunked\r\n\r\n"
    whole = head + b"2\r\n{}\r\n0\r\nX-T: 1\r\n\r\n"

    def converse(wire: Wire) -> None:
        wire.read_request()
        wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(whole), cut):
            wire.send(whole[start : start + cut])
        wire.await_end()

    with raw_upstream(converse) as upstream:
        found, body, num_idle = streamed(upstream.url, GET)
    assert (found.headers, body, num_idle) == (((b"X-Long", b"value"),), b"{}", 1)


@pytest.mark.parametrize("interim", [
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nX-A: 1\r\n\r\n",
])  # fmt: skip
def test_an_interim_answer_is_not_the_answer(interim: bytes) -> None:
    with raw_upstream(answering(interim + OK)) as upstream:
        found, body, num_idle = streamed(upstream.url, GET)
    assert (found.status, found.reason, found.headers) == (200, b"OK", ((b"Content-Length", b"2"),))
    assert (body, num_idle) == (b"{}", 1)


@pytest.mark.parametrize(("method", "answer", "body", "num_idle"), [
    (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n", b"", 1),
    (b"HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"", 1),
    (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"", 0),
    (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n", b"", 1),
    (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b"", 1),
    (b"GET", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", b"{}", 0),
    (b"GET", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"{}", 0),
    (b"GET", OK + b"HTTP", b"{}", 0),
    (b"GET", OK + OK, b"{}", 0),
])  # fmt: skip
def test_where_an_answer_ends_and_whether_its_connection_is_kept(
    method: bytes, answer: bytes, body: bytes, num_idle: int
) -> None:
    with raw_upstream(answering(answer)) as upstream:
        assert streamed(upstream.url, HopRequest(method, b"/"))[1:] == (body, num_idle)


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    def converse(wire: Wire) -> None:
        wire.read_request()
        wire.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        wire.send(b" and half")

    with raw_upstream(converse) as upstream:
        assert streamed(upstream.url, GET)[1:] == (b"half and half", 0)


@pytest.mark.parametrize(("answer", "words"), [
    (b"", "expected OpenSearch at"),
    (b"HTTP/1.1 200 OK\r\nX-A: ", "Remote end closed"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "broke off 96 bytes early"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "IncompleteRead"),
    (b"220 mail ready\r\n", "expected OpenSearch at"),
    (b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n", "Invalid header value"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding"),  # noqa: E501
    (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", "Content-Length"),
])  # fmt: skip
def test_an_answer_that_cannot_be_used_is_an_error(answer: bytes, words: str) -> None:
    def converse(wire: Wire) -> None:
        wire.read_request()
        wire.send(answer)

    with raw_upstream(converse) as upstream, pytest.raises(UpstreamError, match=words):
        streamed(upstream.url, GET)


def test_a_connection_is_used_again_and_its_end_is_noticed() -> None:
    with raw_upstream(answering(OK, OK)) as upstream:

        async def use(asked: AsyncUpstream) -> list[Exchange]:
            return [await asked.exchange(GET) for _ in range(2)]

        assert [each.body for each in run(upstream.url, use)] == [b"{}", b"{}"]
        assert upstream.num_connections == 1

    def once(wire: Wire) -> None:
        wire.read_request()
        wire.send(OK)

    with raw_upstream(once) as upstream:

        async def wait_and_use(asked: AsyncUpstream) -> int:
            for _ in range(3):
                answer = await asked.stream(HopRequest(b"POST", b"/", (), b"{}", 2))
                await read(answer)
                await asyncio.sleep(0.05)
            return len(upstream.seen)

        assert run(upstream.url, wait_and_use) == 3


@pytest.mark.parametrize(("method", "may_repeat", "num_seen"), [
    (b"POST", False, 1), (b"PUT", False, 1), (b"DELETE", False, 1), (b"GET", False, 1), (b"GET", True, 2),
])  # fmt: skip
def test_nothing_is_sent_twice_once_a_byte_was_sent_unless_it_may_be_repeated(
    method: bytes, may_repeat: bool, num_seen: int
) -> None:
    """A kept connection ends after it has read the request, which may have been carried out."""

    def converse(wire: Wire) -> None:
        is_first = upstream.num_connections == 1
        wire.read_request()
        wire.send(OK)
        if is_first:
            wire.read_request()

    async def use(asked: AsyncUpstream) -> int:
        await read(await asked.stream(GET))
        assert asked.num_idle == 1
        answer = await asked.stream(HopRequest(method, b"/second", (), b"{}", 2), may_repeat=may_repeat)
        await read(answer)
        return answer.status

    with raw_upstream(converse) as upstream:
        if may_repeat:
            assert run(upstream.url, use) == 200
        else:
            with pytest.raises(UpstreamError, match="expected OpenSearch at"):
                run(upstream.url, use)
    assert sum(b" /second " in each for each in upstream.seen) == num_seen


def test_what_comes_on_an_idle_connection_ends_it() -> None:
    def converse(wire: Wire) -> None:
        wire.read_request()
        wire.send(OK)
        if upstream.num_connections == 1:
            late.wait(20)
            wire.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
            sent.set()
        wire.await_end()

    async def use(asked: AsyncUpstream) -> list[int]:
        first = await asked.exchange(GET)
        late.set()
        sent.wait(20)
        return [first.status, (await asked.exchange(GET)).status]

    late, sent = threading.Event(), threading.Event()
    with raw_upstream(converse) as upstream:
        assert run(upstream.url, use) == [200, 200]
        assert upstream.num_connections == 2


@pytest.mark.parametrize("status", [400, 408, 413, 414, 417, 431, 501, 502, 504, 505])
def test_a_connection_is_not_kept_after_a_status_that_may_come_unread(status: int) -> None:
    """OpenSearch answers 400 (`too_long_http_header_exception`) and never reads on."""
    answer = OK.replace(b"200", b"%d" % status)
    with raw_upstream(answering(answer)) as upstream:
        headers = ((b"X-A", b"a" * SURELY_READ_BYTES),)
        assert streamed(upstream.url, HopRequest(b"GET", b"/", headers))[2] == 0


def test_a_connection_is_kept_after_a_400_for_what_a_short_request_says() -> None:
    with raw_upstream(answering(OK.replace(b"200", b"400"))) as upstream:
        assert streamed(upstream.url, GET)[2] == 1


def test_how_long_an_idle_connection_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    soon = OK.replace(b"\r\n\r\n", b"\r\nKeep-Alive: timeout=1\r\n\r\n")

    async def use(asked: AsyncUpstream) -> list[int]:
        await asked.exchange(GET)
        counts = [upstream.num_connections]
        monkeypatch.setattr(connection, "MAX_IDLE_WRITE_S", 0.0)
        await read(await asked.stream(GET))  # must not be sent twice, so it takes a new one
        await asked.exchange(GET)
        return [*counts, upstream.num_connections, asked.num_idle]

    with raw_upstream(answering(OK, OK, OK)) as upstream:
        assert run(upstream.url, use) == [1, 2, 2]
    with raw_upstream(answering(soon, soon)) as upstream:

        async def twice(asked: AsyncUpstream) -> int:
            await asked.exchange(GET)
            await asked.exchange(GET)
            return upstream.num_connections

        assert run(upstream.url, twice) == 2, "the other side closes it at any moment"


@pytest.mark.parametrize("length", [None, 10])
def test_an_answer_before_the_body_was_sent_ends_the_sending_and_the_connection(length: int | None) -> None:
    def converse(wire: Wire) -> None:
        wire.sock.recv(65536)
        wire.send(OK.replace(b"200", b"401"))
        is_closed.append(wire.await_end())

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.sleep(0.2)
        yield b"later"
        raise AssertionError("nobody asked for more")

    is_closed: list[bool] = []
    with raw_upstream(converse) as upstream:
        found, content, num_idle = streamed(upstream.url, HopRequest(b"POST", b"/", (), body(), length))
    assert (found.status, content, num_idle, is_closed) == (401, b"{}", 0, [True])


@pytest.mark.parametrize("is_reset", [False, True])
def test_an_early_answer_is_given_though_the_rest_of_a_long_body_is_not_taken(is_reset: bool) -> None:
    """Nobody reads the megabytes that follow; the connection is reset over them, or only filled."""

    def converse(wire: Wire) -> None:
        wire.sock.recv(65536)
        wire.send(OK.replace(b"200", b"413"))
        if not is_reset:
            done.wait(20)

    async def use(asked: AsyncUpstream) -> tuple[int, bytes, int]:
        answer = await asked.stream(HopRequest(b"POST", b"/", (), several(*[b"x" * MEGABYTE] * 64), None))
        found = answer.status, await read(answer), asked.num_idle
        done.set()
        return found

    done = threading.Event()
    with raw_upstream(converse) as upstream:
        assert run(upstream.url, use) == (413, b"{}", 0)


def test_an_early_answer_is_read_though_the_connection_is_reset_before_the_loop_looks() -> None:
    def converse(wire: Wire) -> None:
        wire.sock.recv(6)
        wire.send(OK.replace(b"200", b"413"))

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        time.sleep(0.3)  # the loop is busy, and does not see the answer
        yield b"x" * MEGABYTE

    with raw_upstream(converse) as upstream:
        found, content, _ = streamed(upstream.url, HopRequest(b"POST", b"/", (), body(), None))
    assert (found.status, content) == (413, b"{}")


def test_a_reader_that_waits_holds_opensearch_back() -> None:
    """A slow client costs a buffer here, not the whole answer."""
    total, sent = 64 * MEGABYTE, [0]

    def converse(wire: Wire) -> None:
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        wire.read_request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        for _ in range(64):
            wire.send(b"x" * MEGABYTE)
            sent[0] += MEGABYTE
        wire.await_end()

    async def use(asked: AsyncUpstream) -> tuple[int, int, int]:
        answer = await asked.stream(GET)
        await asyncio.sleep(0.5)
        early, waiting = sent[0], answer._num_waiting
        return early, waiting, len(await read(answer))

    with raw_upstream(converse) as upstream:
        early, waiting, num_bytes = run(upstream.url, use, read_timeout_s=0.4)  # it is not silent meanwhile
    assert early < 16 * MEGABYTE
    assert MAX_BUFFERED_BYTES < waiting < 2 * MAX_BUFFERED_BYTES
    assert num_bytes == total


def test_reading_an_older_answer_does_not_let_more_of_the_next_one_in() -> None:
    """Both came on one connection: the first was whole before anybody read it."""
    first, second = 200_000, 8 * MEGABYTE

    def converse(wire: Wire) -> None:
        for length in (first, second):
            wire.read_request()
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length + b"x" * length)
        wire.await_end()

    async def use(asked: AsyncUpstream) -> tuple[int, list[int]]:
        one = await asked.stream(GET)
        while not one.is_complete:
            await asyncio.sleep(0.01)
        other = await asked.stream(GET)
        await asyncio.sleep(0.2)
        lengths = [len(await read(one))]
        await asyncio.sleep(0.2)
        waiting = other._num_waiting
        return waiting, [*lengths, len(await read(other))]

    with raw_upstream(converse) as upstream:
        waiting, lengths = run(upstream.url, use)
        assert (lengths, upstream.num_connections) == ([first, second], 1)
        assert waiting < 2 * MAX_BUFFERED_BYTES


def test_an_opensearch_that_reads_slowly_holds_the_sender_back() -> None:
    yielded = [0]

    async def body() -> AsyncIterator[bytes]:
        for _ in range(64):
            yielded[0] += 1
            yield b"x" * MEGABYTE

    def converse(wire: Wire) -> None:
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        goes_on.wait(20)
        wire.read_request()
        wire.send(OK)
        wire.await_end()

    async def use(asked: AsyncUpstream) -> int:
        asking = asyncio.create_task(asked.stream(HopRequest(b"PUT", b"/", (), body(), 64 * MEGABYTE)))
        await asyncio.sleep(0.5)
        early = yielded[0]
        goes_on.set()
        answer = await asking
        await read(answer)
        return early

    goes_on = threading.Event()
    with raw_upstream(converse) as upstream:
        assert run(upstream.url, use) < 16
        assert len(upstream.seen[0]) > 64 * MEGABYTE


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
def test_a_cancelled_request_closes_its_connection(answer: bytes) -> None:
    """So OpenSearch cancels the search that nobody waits for."""

    def converse(wire: Wire) -> None:
        wire.read_request()
        wire.send(answer)
        asked_.set()
        is_closed.append(wire.await_end())

    async def use(asked: AsyncUpstream) -> int:
        asking = asyncio.create_task(asked.exchange(GET))
        await asyncio.to_thread(asked_.wait, 20)
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        return asked.num_idle

    asked_, is_closed = threading.Event(), list[bool]()
    with raw_upstream(converse) as upstream:
        assert run(upstream.url, use) == 0
    assert is_closed == [True]


def test_an_answer_that_is_given_up_closes_its_connection_and_no_other() -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"

    async def use(asked: AsyncUpstream) -> list[int]:
        answer = await asked.stream(GET)
        whole = await asked.exchange(HopRequest(b"GET", b"/whole"))
        answer.close()
        answer.close()
        with pytest.raises(UpstreamError):
            await read(answer)
        return [whole.status, (await asked.exchange(HopRequest(b"GET", b"/whole"))).status, asked.num_idle]

    def converse(wire: Wire) -> None:
        while request := wire.read_request():
            wire.send(OK if b" /whole " in request else half)

    with raw_upstream(converse) as upstream:
        assert run(upstream.url, use) == [200, 200, 1]
        assert upstream.num_connections == 2


def test_what_is_not_answered_in_time_is_not_asked_of_another_host() -> None:
    with raw_upstream(answering(b"")) as hung, raw_upstream(answering(OK)) as good:

        async def use(asked: AsyncUpstream) -> None:
            with pytest.raises(UpstreamTimeoutError, match="found none in time"):
                await asked.exchange(HopRequest(b"POST", b"/_search", (), b"{}", 2))

        run(url_of(hung.url, good.url), use, read_timeout_s=0.3)
        posted = [sum(each.startswith(b"POST") for each in one.seen) for one in (hung, good)]
        assert posted == [1, 0]


def test_an_answer_that_stalls_is_an_error_and_one_that_drips_is_not() -> None:
    def dripping(wire: Wire) -> None:
        wire.read_request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        for _ in range(num_sent):
            wire.send(b"x")
            threading.Event().wait(0.15)
        wire.await_end()

    num_sent = 6
    with raw_upstream(dripping) as upstream:
        assert streamed(upstream.url, GET, read_timeout_s=0.6)[1] == b"x" * 6
    num_sent = 3
    with raw_upstream(dripping) as upstream, pytest.raises(UpstreamTimeoutError):
        streamed(upstream.url, GET, read_timeout_s=0.6)


@pytest.mark.parametrize("error", [
    ClientDisconnectedError("gone"), OSError(errno.ENOSPC, "No space left on device"),
])  # fmt: skip
def test_a_body_that_breaks_off_is_no_fault_of_the_host(error: Exception) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        raise error

    async def used() -> tuple[int, list[bool]]:
        with closing(Upstream(url_of(upstream.url, "http://127.0.0.1:1"))) as shared:
            asked = AsyncUpstream(shared)
            with pytest.raises((ClientDisconnectedError, RequestBodyError)):
                await asked.stream(HopRequest(b"POST", b"/", (), body(), 1000))
            return asked.num_idle, left_out(shared)

    with raw_upstream(answering(OK)) as upstream:
        assert asyncio.run(used()) == (0, [False, False])


@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_a_host_that_cannot_be_reached_is_passed_over_and_left_out_for_threads_too(method: bytes) -> None:
    async def used() -> tuple[list[int], list[bool]]:
        with closing(Upstream(url_of(f"http://127.0.0.1:{free_port()}", upstream.url))) as shared:
            asked = AsyncUpstream(shared)
            answers = [
                await asked.stream(HopRequest(method, b"/", (), several(b"once"), 4)) for _ in range(2)
            ]
            for answer in answers:
                await read(answer)
            asked.close()
            return [answer.status for answer in answers], left_out(shared)

    with raw_upstream(answering(OK, OK)) as upstream:
        assert asyncio.run(used()) == ([200, 200], [True, False])
        assert [each.rpartition(b"\r\n\r\n")[2] for each in upstream.seen] == [b"once"] * 2


@pytest.mark.parametrize("may_repeat", [False, True])
def test_a_read_goes_on_to_the_next_host_and_a_write_does_not(may_repeat: bool) -> None:
    def dropping(wire: Wire) -> None:
        wire.read_request()

    request = HopRequest(b"POST", b"/", (), b"{}", 2)
    with raw_upstream(dropping) as broken, raw_upstream(answering(OK)) as good:
        if may_repeat:
            found = streamed(url_of(broken.url, good.url), request, may_repeat=True)
            assert found[0].status == 200
        else:
            with pytest.raises(UpstreamError, match="expected OpenSearch at"):
                streamed(url_of(broken.url, good.url), request)
        posted = [sum(each.startswith(b"POST") for each in one.seen) for one in (broken, good)]
        assert posted == [1, int(may_repeat)]


def test_many_at_once_have_a_connection_each_and_few_are_kept() -> None:
    async def use(asked: AsyncUpstream) -> tuple[set[int], int]:
        found = await asyncio.gather(*(asked.exchange(GET) for _ in range(100)))
        return {each.status for each in found}, asked.num_idle

    with raw_upstream(answering(OK)) as upstream:
        assert run(upstream.url, use) == ({200}, 64)
        assert upstream.num_connections == 100


def test_a_connection_that_goes_from_one_request_to_the_next_at_once_wakes_both() -> None:
    """The next request may wait on it before the one whose answer is there has run on."""

    def converse(wire: Wire) -> None:
        while wire.read_request():
            wire.send(OK)

    async def use(asked: AsyncUpstream) -> list[int]:
        async def many() -> int:
            return sum([(await asked.exchange(GET)).status == 200 for _ in range(25)])

        return await asyncio.gather(*(many() for _ in range(20)))

    with raw_upstream(converse) as upstream:
        assert run(upstream.url, use, read_timeout_s=5.0) == [25] * 20


def test_the_hosts_show_connections_that_either_hop_keeps() -> None:
    async def kept() -> list[int]:
        with closing(Upstream(upstream.url)) as shared:
            shared.exchange("GET", "/", ())
            by_threads = shared.hosts()[0].num_idle
            asked = AsyncUpstream(shared)
            await asked.exchange(GET)
            by_both = shared.hosts()[0].num_idle
            asked.close()
            return [by_threads, by_both, shared.hosts()[0].num_idle]

    with raw_upstream(answering(OK, OK)) as upstream:
        assert asyncio.run(kept()) == [1, 2, 1]


def test_ipv6() -> None:
    with raw_upstream(answering(OK), host="::1") as upstream:
        assert streamed(upstream.url, GET)[1] == b"{}"
    assert b"\r\nHost: [::1]:" in upstream.seen[0]


def test_tls_with_a_clients_certificate(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)

    async def asked_with(connecting: Connecting, times: int = 1) -> list[int]:
        with closing(connecting.upstream()) as upstream:
            asked = AsyncUpstream(upstream)
            found = [(await asked.exchange(GET)).status for _ in range(times)]
            asked.close()
            return found

    with (
        raw_upstream(answering(OK, OK)) as upstream,
        tls_relay(upstream.url, made, asks_client=True) as url,
    ):
        known = Connecting(url, ca=made.ca, certificate=made.certificate, key=made.key)
        assert asyncio.run(asked_with(known, 2)) == [200, 200]
        assert upstream.num_connections == 1
        with pytest.raises(UpstreamError, match=r"expected TLS .* --ca FILE"):
            asyncio.run(asked_with(Connecting(url)))
        with pytest.raises(UpstreamError):
            asyncio.run(asked_with(Connecting(url, ca=made.ca)))
        plain = url.replace("https://", "http://")
        with pytest.raises(UpstreamError, match="must be https://"):
            asyncio.run(asked_with(Connecting(plain)))


def test_requests_are_signed_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    signed: list[tuple[str, str, bytes]] = []

    def sign(method: str, url: str, headers: Headers, body: bytes) -> Headers:
        signed.append((method, url, body))
        return (*headers, ("Authorization", "AWS4"))

    async def used(body: AsyncIterator[bytes]) -> int:
        with closing(Upstream(upstream.url, sign=sign)) as shared:
            asked = AsyncUpstream(shared)
            answer = await asked.stream(HopRequest(b"POST", b"/a?b=%2F", ((b"X-A", b"\xe9"),), body, None))
            await read(answer)
            asked.close()
            return answer.status

    with raw_upstream(answering(OK)) as upstream:
        assert asyncio.run(used(several(b"{", b"}"))) == 200
        assert signed == [("POST", f"{upstream.url}/a?b=%2F", b"{}")]
        assert b"X-A: \xe9\r\nAuthorization: AWS4\r\nContent-Length: 2\r\n\r\n{}" in upstream.seen[0]
        monkeypatch.setattr("plugin.upstream.aws_signing.MAX_SIGNED_BYTES", 3)
        with pytest.raises(TooLongToSignError):
            asyncio.run(used(several(b"ab", b"cd")))


def test_threads_and_the_hop_tell_of_a_fault_in_the_same_words() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with closing(Upstream(url)) as upstream, pytest.raises(UpstreamError) as by_thread:
        upstream.exchange("GET", "/", ())
    with pytest.raises(UpstreamError) as by_hop:
        streamed(url, GET)
    parts = [str(each.value).partition(", found: ") for each in (by_thread, by_hop)]
    assert parts[0][0] == parts[1][0]
    assert all(end.endswith("Check that it runs and that --upstream names it") for _, _, end in parts)

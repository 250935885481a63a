"""One connection to OpenSearch on an event loop: what is sent on it, and whether it can be used again.

`HopConnection.send` writes a request and returns a `StreamedAnswer` as soon as its head is there. Bytes go
through unchanged in both directions, and names of headers keep their case.
"""

import asyncio
import os
import select
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from http.client import BadStatusLine, RemoteDisconnected
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade

from plugin.errors import RequestBodyError
from plugin.http.headers import RawHeaders
from plugin.http.messages import BLOCK_BYTES
from plugin.upstream.connection import (
    CONNECTION_LOST,
    cut_blocks,
    is_fresh,
    may_be_unread,
)
from plugin.upstream.host import Host
from plugin.upstream.streamed_answer import StreamedAnswer

_WITH_LENGTH = frozenset({b"POST", b"PUT", b"PATCH"})

AsyncBody = bytes | AsyncIterable[bytes]
"""A request's body, whole or block by block."""


@dataclass(frozen=True, slots=True)
class HopRequest:
    """A request as it goes to OpenSearch: in chunks if `content_length` is None."""

    method: bytes
    target: bytes
    headers: RawHeaders = ()
    body: AsyncBody = b""
    content_length: int | None = 0

    def build_head(self, authority: bytes) -> bytes:
        """Return request line and headers.

        Raises:
            ValueError: a part holds what would begin another line, or another part of the first one.
        """
        lines = [b"%b %b HTTP/1.1" % (self.method, self.target), b"Host: " + authority]
        lines += [b"%b: %b" % header for header in self.headers]
        if self.content_length is None:
            lines.append(b"Transfer-Encoding: chunked")
        elif self.content_length or self.method in _WITH_LENGTH:
            lines.append(b"Content-Length: %d" % self.content_length)
        head = b"\r\n".join([*lines, b"\r\n"])
        if not head.count(b"\n") == head.count(b"\r") == len(lines) + 1 or lines[0].count(b" ") != 2:
            raise ValueError("expected no line end in a header, and no blank in a method or target")
        return head


class HopConnection(asyncio.Protocol):
    """One connection to a host. It carries one request at a time.

    Args:
        host: where it leads.
        keep: called when it can carry another request.
    """

    def __init__(self, host: Host, keep: "Callable[[HopConnection], None]") -> None:
        self.host, self._keep = host, keep
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._answer: StreamedAnswer | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ends_s = self._released_s = self._max_idle_s = 0.0
        self._head_bytes = 0
        self._is_full = self._is_paused = self._is_sent = self._is_spoiled = False

    async def send(self, request: HopRequest) -> StreamedAnswer:
        """Send a request, and return its answer once the head is there.

        An answer that comes before the whole body was sent ends the sending.

        Raises:
            HTTPException, OSError: the connection broke, or what came is no HTTP.
            RequestBodyError: the body cannot be read.
            ValueError: the head cannot be written.
        """
        answer = self._answer = StreamedAnswer(self, has_body=request.method != b"HEAD")
        try:
            head = request.build_head(self.host.base.partition("://")[2].encode())
            self._head_bytes, self._is_sent = len(head), False
            await self._write(answer, head, request)
            while not answer.has_outcome:
                await self.wait()
            if answer.error is not None and not answer.has_head:
                raise answer.error
        except BaseException:  # if the client has gone, too: OpenSearch must not wait for the rest
            self.close()
            raise
        return answer

    def is_usable(self) -> bool:
        """Whether it is still open, seen from here, and nothing has come that was not asked for."""
        if self._transport.is_closing():
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    def is_fresh(self, *, may_repeat: bool) -> bool:
        """Whether it was idle for a short enough time to carry a request of this kind."""
        return is_fresh(self._released_s, self._max_idle_s, may_repeat=may_repeat)

    def close(self) -> None:
        """Close it at once, whatever is in flight."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._transport.abort()

    async def wait(self) -> None:
        """Wait until something happens. If nothing does within `read_timeout_s`, the answer fails."""
        waiter = self._waiter = self._loop.create_future()
        self._ends_s = self._loop.time() + self.host.read_timeout_s
        if self._timer is None:
            self._timer = self._loop.call_at(self._ends_s, self._check_time)
        try:
            await waiter
        finally:
            if self._waiter is waiter:  # else the next request on this connection waits already
                self._waiter = None

    def pause_answer(self) -> None:
        """Read nothing more for now."""
        if not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def resume_answer(self, answer: StreamedAnswer) -> None:
        """Read on, if this answer is still the one that arrives."""
        if self._is_paused and self._answer is answer:
            self._is_paused = False
            self._transport.resume_reading()

    def give_up(self, answer: StreamedAnswer) -> None:
        """Close the connection if this answer is the one that arrives."""
        if self._answer is answer:
            self._fail(RemoteDisconnected("the answer was given up"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Hand what came to the answer that is awaited."""
        answer = self._answer
        if answer is None:  # nothing was asked
            self.close()
            return
        try:
            answer.feed(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._is_spoiled = True
            if not answer.is_complete:
                self._fail(BadStatusLine(str(error.__context__ or error)))
                return
        if answer.is_complete:
            self._end(answer)
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the answer that is awaited."""
        if isinstance(exc, CONNECTION_LOST):
            self._read_rest()
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.end(exc)
        self.close()
        self._wake()

    def pause_writing(self) -> None:
        """Remember that OpenSearch reads more slowly than the request is sent."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Send on."""
        self._is_full = False
        self._wake()

    async def _write(self, answer: StreamedAnswer, head: bytes, request: HopRequest) -> None:
        """Send a request, until an answer comes. The head goes with the first block, in one packet."""
        body, is_chunked, pending = request.body, request.content_length is None, head
        if isinstance(body, bytes) and len(body) <= BLOCK_BYTES and not is_chunked:
            self._transport.write(head + body)
            self._is_sent = True
            return
        async for block in _iterate(cut_blocks(body) if isinstance(body, bytes) else body):
            if answer.has_outcome:
                return
            self._transport.write(pending + (b"%x\r\n%b\r\n" % (len(block), block) if is_chunked else block))
            pending = b""
            while self._is_full and not answer.has_outcome:
                await self.wait()
        if not answer.has_outcome:
            self._transport.write(pending + (b"0\r\n\r\n" if is_chunked else b""))
            self._is_sent = True

    def _check_time(self) -> None:
        """Fail if nothing has come in time; else look again later: one timer serves many requests."""
        self._timer = None
        if self._waiter is None:
            return
        if self._loop.time() < self._ends_s:
            self._timer = self._loop.call_at(self._ends_s, self._check_time)
        else:
            self._fail(TimeoutError("timed out"))

    def _read_rest(self) -> None:
        """Read an answer that came before the connection was reset, over a body that nobody takes.

        asyncio reads nothing more once a write has failed.
        """
        answer, plain = self._answer, self._transport.get_extra_info("sslcontext") is None
        if answer is None or not plain:
            return
        with suppress(OSError, HttpParserError, HttpParserUpgrade):
            while data := os.read(self._transport.get_extra_info("socket").fileno(), BLOCK_BYTES):
                answer.feed(data)

    def _end(self, answer: StreamedAnswer) -> None:
        """Keep the connection after a whole answer, if it can carry another request."""
        is_read = self._is_sent and not may_be_unread(answer.status, self._head_bytes)
        is_free = not self._is_spoiled and not self._transport.is_closing()
        self.resume_answer(answer)
        self._answer = None
        answer.end(None)
        if is_read and is_free and answer.keeps_connection and not self._transport.get_write_buffer_size():
            self._released_s, self._max_idle_s = time.monotonic(), answer.max_idle_s
            self._keep(self)
        else:
            self.close()

    def _fail(self, error: Exception) -> None:
        """End the answer that is awaited, and the connection with it."""
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.end(error)
        self.close()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


async def _iterate(blocks: Iterable[bytes] | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Yield a body's blocks, except empty ones; their errors must not be mistaken for OpenSearch's.

    Raises:
        RequestBodyError: the next block cannot be read.
    """
    try:
        if isinstance(blocks, AsyncIterable):
            async for block in blocks:
                if block:
                    yield block
        else:
            for block in blocks:
                yield block
    except OSError as error:
        raise RequestBodyError(f"expected the rest of a request's body, found: {error}") from error

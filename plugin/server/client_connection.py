"""One client's connection on an event loop: requests are read, answered in order, and the connection kept.

A slow client costs a buffer and a file descriptor, no thread. `data_received` -> `ClientRequest` -> `_answer`
(a task) -> `Service.answer`.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Protocol, cast

from gunicorn.asgi.parser import ParseError
from gunicorn.http.errors import ParseException

from plugin.errors import UpstreamError
from plugin.http.request_context import GRACE_S as LEFT_GRACE_S
from plugin.http.request_context import ClientDisconnectedError
from plugin.server.buffered_request import MAX_HELD_BYTES
from plugin.server.client_answer import AnswerFraming
from plugin.server.client_errors import (
    build_refusal,
    build_timeout,
    build_too_long,
    is_client_error,
    is_too_long,
)
from plugin.server.client_options import ClientOptions
from plugin.server.client_request import MAX_BUFFERED_BYTES, ClientRequest
from plugin.server.keep_alive import GRACE_S

LINGER_S = 2.0
"""How long a finished connection is kept, so that its client can close it (RFC 9112, section 9.6)."""

_FOREVER = float("inf")
_log = logging.getLogger("twinrank")


class Service(Protocol):
    """What answers the requests of a worker's connections."""

    clients: ClientOptions
    is_stopping: bool

    def opened(self, connection: "ClientConnection") -> None:
        """A connection begins."""
        ...

    def closed(self, connection: "ClientConnection") -> None:
        """A connection has ended."""
        ...

    async def answer(self, request: ClientRequest, connection: "ClientConnection") -> AnswerFraming:
        """Answer one request by `write`, and return how the answer was framed."""
        ...


class ClientConnection(asyncio.Protocol):
    """One connection.

    Attributes:
        is_waiting: no request is in flight, so that it may be closed to make room for others.
        address, server: where the client is, and what it asked; as the socket tells.
        is_tls: whether it speaks TLS.
    """

    def __init__(self, service: Service) -> None:
        self._service, self._clients = service, service.clients
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._request: ClientRequest | None = None
        self._task: asyncio.Task[None] | None = None
        self._pending = bytearray()
        self._ends_s, self._timer = _FOREVER, cast(asyncio.TimerHandle | None, None)
        self._writable: asyncio.Future[None] | None = None
        self._is_full = self._is_paused = self._is_lingering = self._has_ended = self._has_written = False
        self._num_left = 0
        self.address: object = None
        self.server: object = None
        self.is_tls = False

    @property
    def is_waiting(self) -> bool:
        """Whether no request is in flight."""
        return self._task is None

    @property
    def is_lost(self) -> bool:
        """Whether nothing can be written any more."""
        return self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        self.address, self.server = (transport.get_extra_info(name) for name in ("peername", "sockname"))
        self.is_tls = transport.get_extra_info("sslcontext") is not None
        self._service.opened(self)
        self._limit(LINGER_S if self._service.is_stopping else self._clients.request_timeout_s)

    def data_received(self, data: bytes) -> None:
        """Read a request, or keep what follows one that is not answered yet."""
        if self._is_lingering:
            return
        if self._request is not None and self._request.is_whole:
            self._pending += data
            if len(self._pending) > MAX_HELD_BYTES:
                self._pause()
            return
        self._feed(data)

    def eof_received(self) -> bool:
        """Close, or give the answer in flight a moment: the client may have closed its side alone."""
        if self._task is None or self._request is None:
            self._transport.close()
            return False
        if not self._request.is_whole:
            self._request.fail(ClientDisconnectedError("expected the rest of a body, found its end"))
        self._has_ended = True
        self._loop.call_later(LEFT_GRACE_S, self._leave, self._task)
        return not self.is_tls

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the answer in flight, and so the request to OpenSearch."""
        if self._timer is not None:
            self._timer.cancel()
        if self._request is not None:
            self._request.fail(ClientDisconnectedError(f"the client closed its connection: {exc}"))
        self.resume_writing()
        if self._task is not None:
            self._task.cancel()
        self._service.closed(self)

    def pause_writing(self) -> None:
        """Remember that the client reads more slowly than it is answered."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Write on."""
        self._is_full = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def write(self, data: bytes) -> None:
        """Write a part of an answer."""
        self._has_written = True
        if data:
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the client has read enough.

        Raises:
            ClientDisconnectedError: it has gone.
        """
        while self._is_full and not self.is_lost:
            self._writable = self._loop.create_future()
            self._limit(self._clients.stall_timeout_s)
            try:
                await self._writable
            finally:
                self._writable = None
                self._ends_s = _FOREVER
        if self.is_lost:
            raise ClientDisconnectedError("the client closed its connection before it was answered")

    async def read_block(self, request: ClientRequest) -> bytes:
        """Return the next bytes of a request's body, which may have to arrive first."""
        if self._is_paused and request.num_waiting < MAX_BUFFERED_BYTES // 4:
            self._resume()
        self._limit(self._clients.stall_timeout_s)
        try:
            return await request.read_block()
        finally:
            self._ends_s = _FOREVER

    async def read_blocks(self, request: ClientRequest) -> AsyncIterator[bytes]:
        """Yield the rest of a request's body."""
        while block := await self.read_block(request):
            yield block

    @contextmanager
    def watched_socket(self) -> Iterator[socket.socket | None]:
        """Yield another handle of the client's socket, by which a thread sees whether it is still there.

        None if this process has no file left for one: then the client is answered unwatched.
        """
        try:
            duplicated: socket.socket = self._transport.get_extra_info("socket").dup()
        except OSError:
            yield None
            return
        with duplicated:
            yield duplicated

    def stop(self) -> None:
        """Close soon if nothing is in flight; a request that still comes is answered."""
        if self._task is None:
            self._ends_s = min(self._ends_s, self._loop.time() + LINGER_S)
            self._schedule(self._ends_s)

    def time_out(self) -> None:
        """Close a connection whose client takes too long, with a 408 if it has begun a request."""
        if self._request is not None and self._request.has_begun:
            self._transport.write(build_timeout(self._clients.request_timeout_s))
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _feed(self, data: bytes) -> None:
        """Read a request; begin to answer it once it is whole, or too long to be held."""
        request = self._request
        if request is None:
            request = self._request = ClientRequest(self._clients.max_head_bytes)
            self._limit(LINGER_S if self._service.is_stopping else self._clients.request_timeout_s)
        try:
            request.feed(data)
        except (ParseError, ParseException) as error:
            if self._task is None:
                self._refuse(request, error)
            else:
                request.fail(error)
            return
        if request.is_whole:
            self._pending += request.take_rest()
        elif request.num_waiting > MAX_BUFFERED_BYTES:
            self._pause()
        if self._task is None and (request.is_whole or request.is_long):
            self._ends_s = _FOREVER
            self._has_written = False
            self._task = self._loop.create_task(self._answer(request))

    async def _answer(self, request: ClientRequest) -> None:
        """Answer a request, and see to the connection afterwards."""
        framing: AnswerFraming | None = None
        try:
            if request.expects_continue:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            framing = await self._service.answer(request, self)
        except asyncio.CancelledError:
            self.abort()
            return
        except ClientDisconnectedError as error:
            _log.info("%s", error)
        except Exception as error:  # noqa: BLE001  # the edge: whatever failed, the client gets an answer
            self._refuse_late(request, error)
            return
        if framing is None:
            self.abort()
        elif framing.closes or not request.is_whole or self._has_ended:
            self._linger()
        else:
            self._begin_again()

    def _begin_again(self) -> None:
        """Wait for the next request, or read what has come of it."""
        self._request = self._task = None
        self._limit(LINGER_S if self._service.is_stopping else self._clients.keep_alive_s + GRACE_S)
        if self._is_paused:
            self._resume()
        if self._pending:
            data = bytes(self._pending)
            self._pending.clear()
            self._feed(data)

    def _refuse(self, request: ClientRequest, error: Exception) -> None:
        """Answer what is no request."""
        _log.warning("Invalid request from ip=%s: %s", _host(self.address), error)
        limit = self._clients.max_head_bytes
        if not request.has_head and is_too_long(error):
            self._transport.write(build_too_long(limit, is_line=not request.is_past_line))
        else:
            self._transport.write(build_refusal(error, is_head=request.method == b"HEAD"))
        self._linger()

    def _refuse_late(self, request: ClientRequest, error: Exception) -> None:
        """Answer a request whose body is wrong, or that was not answered because of an unexpected error."""
        if is_client_error(error):
            _log.warning("Invalid request from ip=%s: %s", _host(self.address), error)
        elif isinstance(error, UpstreamError):
            _log.warning("%s", error)
        else:
            _log.error("Error handling request %s", request.target.decode("latin-1"), exc_info=error)
        if self._has_written:  # an answer that breaks off must not look whole
            self.abort()
            return
        self._transport.write(build_refusal(error, is_head=request.method == b"HEAD"))
        self._linger()

    def _linger(self) -> None:
        """Shut down writing, and give the client time to read before the connection is closed."""
        self._is_lingering, self._task = True, None
        self._pending.clear()
        if self._is_paused:
            self._resume()
        if self._has_ended or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._transport.write_eof()
        self._limit(LINGER_S)

    def _end_linger(self) -> None:
        """Close, unless the client still reads what was written: then look again later."""
        num_left = self._transport.get_write_buffer_size()
        if not num_left or num_left == self._num_left:
            self.abort()
            return
        self._num_left = num_left
        self._limit(self._clients.stall_timeout_s)

    def _leave(self, task: asyncio.Task[None]) -> None:
        """Give up an answer that nobody reads."""
        if self._task is task:
            self.abort()

    def _pause(self) -> None:
        if not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        self._is_paused = False
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _limit(self, seconds: float) -> None:
        """Limit how long what is awaited now may take."""
        self._ends_s = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._ends_s:
            self._schedule(self._ends_s)

    def _schedule(self, at_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(at_s, self._check_time)

    def _check_time(self) -> None:
        """Act if the time is over; else look again later: one timer serves many requests."""
        self._timer = None
        now_s = self._loop.time()
        if now_s < self._ends_s:
            later_s = min(self._ends_s, now_s + self._clients.stall_timeout_s)
            self._timer = self._loop.call_at(later_s, self._check_time)
        elif self._is_lingering:
            self._end_linger()
        elif self._task is None:
            self.time_out()
        elif self._writable is not None:
            self.abort()
        elif self._request is not None:
            self._request.fail(ClientDisconnectedError("expected the rest of a body, found: timed out"))


def _host(address: object) -> str:
    return str(address[0]) if isinstance(address, tuple) else ""

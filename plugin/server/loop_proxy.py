"""The proxy on an event loop: what is passed through, and most searches, stay there; threads do the rest."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO

from plugin.errors import UpstreamError
from plugin.http.content_coding import find_coding
from plugin.http.headers import RawHeaders, keep_forwarded
from plugin.http.messages import Request, Response, read_origin_form
from plugin.http.request_context import RequestContext
from plugin.http.request_queue import request_queue
from plugin.http.suspension import run_suspendable, suspend
from plugin.passthrough.forward import is_safe
from plugin.proxy import Observed, Proxy, build_failure
from plugin.server.client_answer import AnswerFraming, frame_answer
from plugin.server.client_connection import ClientConnection
from plugin.server.client_request import ClientRequest
from plugin.server.threaded_answers import ThreadedAnswers
from plugin.upstream.exchange import AsyncUpstream
from plugin.upstream.hop import AsyncBody, HopRequest
from plugin.upstream.streamed_answer import StreamedAnswer

MAX_BODY_BYTES = 64 * 1024
"""A search with a longer body, or a compressed one, is answered in a thread."""

SEARCHES_AT_ONCE = 32
"""Searches of one worker that are answered at once; further ones count as waiting, for admission."""


class LoopProxy:
    """Answers the requests of one worker.

    Args:
        proxy: what answers in threads, and says which requests are only passed through.
        upstream: OpenSearch.
        threads: answers by `proxy`.
        keep_alive_s: how long an idle connection is kept, in seconds.
    """

    def __init__(
        self, proxy: Proxy, upstream: AsyncUpstream, threads: ThreadedAnswers, keep_alive_s: int
    ) -> None:
        self._proxy, self._upstream, self._threads = proxy, upstream, threads
        self._keep_alive_s = keep_alive_s
        self._num_searches = 0

    async def answer(
        self,
        client_request: ClientRequest,
        connection: ClientConnection,
        is_last: Callable[[], bool],
        waited_s: float,
    ) -> AnswerFraming:
        """Answer one request.

        `is_last` says whether the connection closes afterwards; `waited_s` is how long the request has waited
        for the loop, in seconds.
        """
        request = read_request(client_request, waited_s)
        if self._proxy.is_passed_through(request):
            with self._proxy.observe(request) as observed:
                return await self._forward(client_request, observed, connection, is_last)
        if self._proxy.is_search(request) and _is_short(client_request, request):
            with self._one_search():
                return await self._search(client_request, request, connection, is_last)
        return await self._threads.answer(client_request, connection, is_last, waited_s)

    async def _search(
        self,
        client_request: ClientRequest,
        request: Request,
        connection: ClientConnection,
        is_last: Callable[[], bool],
    ) -> AnswerFraming:
        """Answer a search by the same code as threads do; where it would block there, it is suspended."""
        request = replace(request, stream=BytesIO(client_request.take_body()))

        def answer() -> AnswerFraming:
            response = self._proxy.answer(request)
            if isinstance(response.body, bytes):
                return self._write_whole(client_request, response, connection, is_last)
            return self._write_blocks(client_request, response, response.body, connection, is_last)

        framing = await run_suspendable(answer)
        await connection.drain()
        return framing

    @contextmanager
    def _one_search(self) -> Iterator[None]:
        """Count a search, as a waiting request too if there are more than are answered at once."""
        self._num_searches += 1
        waits = self._num_searches > SEARCHES_AT_ONCE
        if waits:
            request_queue.add()
        try:
            yield
        finally:
            self._num_searches -= 1
            if waits:
                request_queue.remove()

    async def _forward(
        self,
        client_request: ClientRequest,
        observed: Observed,
        connection: ClientConnection,
        is_last: Callable[[], bool],
    ) -> AnswerFraming:
        """Pass a request on, and the answer back."""
        request = observed.request
        try:
            answer = await self._upstream.stream(
                _build_hop_request(client_request, request, connection),
                may_repeat=client_request.is_whole and is_safe(request.method),
            )
        except (UpstreamError, asyncio.CancelledError) as error:
            failed = observed.record(build_failure(error))
            if isinstance(error, asyncio.CancelledError):
                raise
            return self._write_whole(client_request, failed, connection, is_last)
        try:
            passed = Response(answer.status, (), b"", answer.reason.decode("latin-1"))
            response = observed.record(passed)
            status, headers = response.status_line.encode("latin-1"), answer.headers + _encode(response)
            framing = frame_answer(client_request, status, headers, self._keep_alive_s, is_last=is_last())
            await _copy(answer, framing, connection)
        finally:
            answer.close()
        return framing

    def _write_whole(
        self,
        client_request: ClientRequest,
        response: Response,
        connection: ClientConnection,
        is_last: Callable[[], bool],
    ) -> AnswerFraming:
        """Write a response of the proxy's own."""
        content = response.body if isinstance(response.body, bytes) else b""
        headers = (*_encode(response), (b"Content-Length", b"%d" % len(content)))
        status = response.status_line.encode("latin-1")
        framing = frame_answer(client_request, status, headers, self._keep_alive_s, is_last=is_last())
        connection.write(framing.head + framing.frame(content) + framing.end)
        return framing

    def _write_blocks(
        self,
        client_request: ClientRequest,
        response: Response,
        blocks: Iterable[bytes],
        connection: ClientConnection,
        is_last: Callable[[], bool],
    ) -> AnswerFraming:
        """Write a response while it arrives, from code that may suspend."""
        try:
            framing = frame_answer(
                client_request,
                response.status_line.encode("latin-1"),
                _encode(response),
                self._keep_alive_s,
                is_last=is_last(),
            )
            pending = framing.head
            for block in blocks:
                connection.write(pending + framing.frame(block))
                pending = b""
                suspend(connection.drain())
            connection.write(pending + framing.end)
        finally:
            close = getattr(blocks, "close", None)
            if close is not None:
                close()
        return framing


def read_request(request: ClientRequest, waited_s: float = 0.0) -> Request:
    """Return a client's request without its body, as the proxy decides by it."""
    sent = ((name.decode("latin-1").title(), value.decode("latin-1")) for name, value in request.headers)
    return Request(
        request.method.decode("latin-1"),
        read_origin_form(request.target.decode("latin-1")),
        keep_forwarded(sent),
        BytesIO(),
        request.content_length,
        context=RequestContext(waited_s),
    )


def _is_short(client_request: ClientRequest, request: Request) -> bool:
    """Whether a request's body is there, and quickly read."""
    if not client_request.is_whole or find_coding(request.headers):
        return False
    return client_request.num_waiting <= MAX_BODY_BYTES


def _build_hop_request(
    client_request: ClientRequest, request: Request, connection: ClientConnection
) -> HopRequest:
    """Return what is sent to OpenSearch; a body that has not arrived yet is sent while it does."""
    body: AsyncBody = connection.read_blocks(client_request)
    length = client_request.content_length
    if client_request.is_whole:
        body = client_request.take_body()
        length = len(body)
    headers: RawHeaders = tuple(
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers
    )
    return HopRequest(
        request.method.encode("latin-1"), request.target.encode("latin-1"), headers, body, length
    )


def _encode(response: Response) -> RawHeaders:
    """Return a response's headers, and those of its outcome, as bytes."""
    own = () if response.outcome is None else response.outcome.headers()
    return tuple(
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in (*response.headers, *own)
    )


async def _copy(answer: StreamedAnswer, framing: AnswerFraming, connection: ClientConnection) -> None:
    """Write an answer to the client as it comes, and no faster than the client reads."""
    pending = framing.head
    while block := await answer.read_block():
        connection.write(pending + framing.frame(block))
        pending = b""
        await connection.drain()
    connection.write(pending + framing.end)
    await connection.drain()

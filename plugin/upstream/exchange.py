"""Requests to OpenSearch on an event loop: over kept connections to its hosts, streamed both ways.

`AsyncUpstream.exchange` and `stream` -> `_fail_over` (host after host) -> `_ask` (a kept connection, or a new
one) -> `HopConnection.send`.

The asynchronous core asks OpenSearch by this module (docs/adr/0009). It follows the rules of
`plugin.upstream.client`, which the threads use: which host comes next, what is sent again, which connection
is kept. Both share the hosts, so that a host that fails one of them is left out by the other.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from http.client import HTTPException
from typing import TypeVar

from plugin.upstream.aws_signing import Sign, check_signable
from plugin.upstream.client import Exchange, Upstream
from plugin.upstream.connection import CONNECTION_LOST
from plugin.upstream.faults import may_ask_next, translate_fault
from plugin.upstream.hop import HopConnection, HopRequest
from plugin.upstream.host import Host, NotConnectedError
from plugin.upstream.streamed_answer import StreamedAnswer

Answered = TypeVar("Answered")
Ask = Callable[[HopConnection, HopRequest], Awaitable[Answered]]


class AsyncUpstream:
    """One OpenSearch, as one event loop asks it. It belongs to that loop; no other thread may use it.

    Args:
        upstream: the same OpenSearch as threads ask it: its hosts, timeouts, certificates and signature hold
            here too.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._hosts, self._sign = upstream.pool, upstream.sign
        self._idle: dict[Host, list[HopConnection]] = {}
        self._hosts.count_other_idle = self._count_idle

    async def exchange(self, request: HopRequest) -> Exchange:
        """Send a request that may be repeated, such as a search, and read the whole answer.

        Raises:
            UpstreamError: OpenSearch cannot be reached, or answers no HTTP.
            UpstreamTimeoutError: it does not answer in time.
        """
        return await self._fail_over(request, _exchange, may_repeat=True)

    async def stream(self, request: HopRequest, *, may_repeat: bool = False) -> StreamedAnswer:
        """Send a request, and return its answer as soon as the head is there. Close the answer at the end.

        `may_repeat` says that request and body may be sent twice.

        Raises:
            UpstreamError: OpenSearch cannot be reached, or answers no HTTP.
            UpstreamTimeoutError: it does not answer in time.
        """
        return await self._fail_over(request, HopConnection.send, may_repeat=may_repeat)

    @property
    def num_idle(self) -> int:
        """How many connections are kept."""
        return sum(map(self._count_idle, self._idle))

    def close(self) -> None:
        """Close the connections that are kept."""
        for idle in self._idle.values():
            while idle:
                idle.pop().close()

    def _count_idle(self, host: Host) -> int:
        """Return how many connections to a host are kept; any thread may ask."""
        return len(self._idle.get(host, ()))

    async def _fail_over(self, request: HopRequest, ask: Ask[Answered], *, may_repeat: bool) -> Answered:
        """Return the answer of the first host that gives one."""
        hosts = self._hosts.list_by_turn()
        if self._sign is not None:
            request = await _read_whole(request)
        for host in hosts:
            signed = request if self._sign is None else await _sign(self._sign, host, request)
            try:
                return await self._ask(host, signed, ask, may_repeat=may_repeat)
            except (HTTPException, OSError) as error:
                self._hosts.record_fault(host, error)
                if host is hosts[-1] or not may_ask_next(error, may_repeat=may_repeat):
                    raise translate_fault(error, host.url) from error
        raise AssertionError("there is at least one host")

    async def _ask(
        self, host: Host, request: HopRequest, ask: Ask[Answered], *, may_repeat: bool
    ) -> Answered:
        """Ask one host over a kept connection, or over a new one if OpenSearch has just closed that."""
        kept = self._take_idle(host, may_repeat=may_repeat)
        if kept is not None:
            try:
                return await ask(kept, request)
            except CONNECTION_LOST:
                if not may_repeat:
                    raise
        return await ask(await self._connect(host), request)

    def _take_idle(self, host: Host, *, may_repeat: bool) -> HopConnection | None:
        """Take an idle connection that is still open; None if there is none for such a request.

        The last one used comes first: if that is too old, all are.
        """
        idle = self._idle.get(host, [])
        while idle and idle[-1].is_fresh(may_repeat=may_repeat):
            connection = idle.pop()
            if connection.is_usable():
                return connection
            connection.close()
        for connection in [each for each in idle if not each.is_fresh(may_repeat=True)]:
            idle.remove(connection)
            connection.close()
        return None

    async def _connect(self, host: Host) -> HopConnection:
        """Return a new connection.

        Raises:
            NotConnectedError: there is none.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(host.connect_timeout_s):
                _, connection = await loop.create_connection(
                    lambda: HopConnection(host, self._keep), host.name, host.port, ssl=host.context
                )
        except OSError as error:
            raise NotConnectedError(str(error)) from error
        return connection

    def _keep(self, connection: HopConnection) -> None:
        """Keep a connection for another request, unless there are enough."""
        idle = self._idle.setdefault(connection.host, [])
        if len(idle) < connection.host.max_idle:
            idle.append(connection)
        else:
            connection.close()


async def _exchange(connection: HopConnection, request: HopRequest) -> Exchange:
    """Send a request over a connection, and read the whole answer."""
    answer = await connection.send(request)
    blocks = []
    try:
        while block := await answer.next_block():
            blocks.append(block)
    finally:
        answer.close()
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers)
    return Exchange(answer.status, answer.reason.decode("latin-1"), headers, b"".join(blocks))


async def _read_whole(request: HopRequest) -> HopRequest:
    """Return a request with its body in one piece, as it has to be in order to be signed.

    Raises:
        TooLongToSignError: the body is too long.
    """
    if isinstance(request.body, bytes):
        return request
    blocks, num_bytes = [], 0
    async for block in request.body:
        num_bytes += len(block)
        check_signable(num_bytes)
        blocks.append(block)
    return replace(request, body=b"".join(blocks), content_length=num_bytes)


async def _sign(sign: Sign, host: Host, request: HopRequest) -> HopRequest:
    """Return a whole request with a signature for a host.

    The signer may look for new credentials and then waits, so it runs in a thread.
    """
    body = request.body if isinstance(request.body, bytes) else b""
    plain = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers)
    url = f"{host.base}{request.target.decode('latin-1')}"
    signed = await asyncio.to_thread(sign, request.method.decode("latin-1"), url, plain, body)
    headers = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in signed)
    return replace(request, headers=headers)

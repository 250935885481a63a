"""Requests to OpenSearch over kept connections to its hosts, streamed both ways; faults are translated here.

`exchange` and `stream` -> `_fail_over` (host after host) -> `_use_host` (a kept connection, or a new one).
Code that an event loop runs must not block it: its requests go to `LoopHop` instead, and suspend it.
"""

import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Protocol, TypeVar

from opensearch.client import OpenSearchClient
from plugin.http.headers import Headers, keep_end_to_end
from plugin.http.request_context import await_readable
from plugin.http.suspension import is_suspendable, suspend
from plugin.upstream.aws_signing import Sign, adapt_signature, read_whole
from plugin.upstream.connection import CONNECTION_LOST, Body, Connection, guard_blocks
from plugin.upstream.faults import may_ask_next, translate_fault
from plugin.upstream.hop import HopRequest
from plugin.upstream.host import Host
from plugin.upstream.pool import Hosts, HostState
from plugin.upstream.streamed_answer import StreamedAnswer
from plugin.upstream.streamed_response import BlockingResponse, StreamedResponse, SuspendingResponse

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 60.0

Answered = TypeVar("Answered")
Use = Callable[[Host, Connection], Answered]


@dataclass(frozen=True)
class Exchange:
    """A complete answer of OpenSearch."""

    status: int
    reason: str
    headers: Headers
    body: bytes


class LoopHop(Protocol):
    """Asks the same OpenSearch on an event loop."""

    async def exchange(self, request: HopRequest) -> Exchange:
        """Send a request that may be repeated, and read the whole answer."""
        ...

    async def stream(self, request: HopRequest, *, may_repeat: bool = False) -> StreamedAnswer:
        """Send a request, and return its answer as soon as the head is there."""
        ...


class Upstream:
    """One OpenSearch, by one host or several, used in turn.

    A request that fails on one host goes to the next if it cannot be carried out twice: nothing was sent, or
    it may be repeated and no part of an answer was passed on. Any answer of OpenSearch is final, errors too.
    A request without an answer in time may still be running, so it is not repeated.

    Args:
        urls: scheme, host and port, several separated by commas. A user in it is not used here: each caller
            has its own credentials.
        connect_timeout_s: longest wait for a connection.
        read_timeout_s: longest silence while an answer is awaited or read.
        max_idle: how many unused connections are kept, a host.
        context: what verifies https hosts; None: the system's certificates.
        sign: adds a signature to each request; None: none.

    Raises:
        ValueError: a URL is not http or https with a host.
    """

    def __init__(
        self,
        urls: str,
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
        max_idle: int = 64,
        context: ssl.SSLContext | None = None,
        sign: Sign | None = None,
    ) -> None:
        self._hosts = Hosts(
            [
                Host(
                    url.strip(),
                    connect_timeout_s=connect_timeout_s,
                    read_timeout_s=read_timeout_s,
                    max_idle=max_idle,
                    context=context,
                )
                for url in urls.split(",")
            ]
        )
        self._context, self._sign = context, sign
        self.hop: LoopHop | None = None
        """What asks for code on an event loop; None if there is no loop."""

    @property
    def pool(self) -> Hosts:
        """The hosts, which the asynchronous hop shares."""
        return self._hosts

    @property
    def sign(self) -> Sign | None:
        """What adds a signature to each request; None: nothing."""
        return self._sign

    @property
    def url(self) -> str:
        """The address of a host that answers."""
        return self._hosts.list_by_turn()[0].url

    def exchange(
        self,
        method: str,
        target: str,
        headers: Headers,
        body: bytes = b"",
        *,
        client: socket.socket | None = None,
    ) -> Exchange:
        """Send a request that may be repeated, such as a search, and read the whole answer.

        `client` is the connection of the client for whom it is asked: if that disconnects, nothing is awaited
        any more.

        Raises:
            UpstreamError: OpenSearch cannot be reached, or answers no HTTP.
            UpstreamTimeoutError: it does not answer in time.
            ClientDisconnectedError: nobody waits for the answer any more.
        """
        if self.hop is not None and is_suspendable():
            asked = _build_hop_request(method, target, headers, body, len(body))
            return suspend(self.hop.exchange(asked))

        def use(host: Host, connection: Connection) -> Exchange:
            response = self._send(host, connection, method, target, headers, body, len(body), client)
            content = response.read()
            host.release(connection, response)
            return Exchange(response.status, response.reason, keep_end_to_end(response.getheaders()), content)

        return self._fail_over(use, may_repeat=True)

    def stream(
        self,
        method: str,
        target: str,
        headers: Headers,
        body: Body,
        content_length: int | None,
        *,
        may_repeat: bool = False,
        client: socket.socket | None = None,
    ) -> StreamedResponse:
        """Send a request block by block, in chunks if `content_length` is None; the answer is read later.

        `may_repeat` says that request and body may be sent twice; `client` is as in `exchange`.

        Raises:
            UpstreamError: OpenSearch cannot be reached, or answers no HTTP.
            UpstreamTimeoutError: it does not answer in time.
            ClientDisconnectedError: nobody waits for the answer any more.
        """
        if self.hop is not None and is_suspendable():
            asked = _build_hop_request(method, target, headers, body, content_length)
            return SuspendingResponse(suspend(self.hop.stream(asked, may_repeat=may_repeat)))

        def use(host: Host, connection: Connection) -> StreamedResponse:
            response = self._send(host, connection, method, target, headers, body, content_length, client)
            return BlockingResponse(host, connection, response)

        return self._fail_over(use, may_repeat=may_repeat)

    def client(self, headers: Mapping[str, str]) -> OpenSearchClient:
        """Return an opensearch-py client for one of the hosts, with these headers in every request."""
        sign = None if self._sign is None else adapt_signature(self._sign)
        return OpenSearchClient(self.url, headers=headers, ssl_context=self._context, sign=sign)

    def watch_hosts(self, on_change: Callable[[int], None]) -> None:
        """Call a function with the number of left-out hosts whenever it changes."""
        self._hosts.on_change = on_change

    def hosts(self) -> list[HostState]:
        """Return the state of each host."""
        return self._hosts.states()

    def close(self) -> None:
        """Close the connections that are kept."""
        self._hosts.close()

    def _fail_over(self, use: Use[Answered], *, may_repeat: bool) -> Answered:
        """Return the answer of the first host that gives one."""
        hosts = self._hosts.list_by_turn()
        for host in hosts:
            try:
                return _use_host(host, use, may_repeat=may_repeat)
            except (HTTPException, OSError) as error:
                self._hosts.record_fault(host, error)
                if host is hosts[-1] or not may_ask_next(error, may_repeat=may_repeat):
                    raise translate_fault(error, host.url) from error
        raise AssertionError("there is at least one host")

    def _send(
        self,
        host: Host,
        connection: Connection,
        method: str,
        target: str,
        headers: Headers,
        body: Body,
        content_length: int | None,
        client: socket.socket | None,
    ) -> HTTPResponse:
        """Send one request and return its answer, body unread."""
        if self._sign is not None:
            body = body if isinstance(body, bytes) else read_whole(guard_blocks(body))
            headers = self._sign(method, f"{host.base}{target}", headers, body)
            content_length = len(body)
        connection.send_request(method, target, headers, body, content_length)
        await_readable(connection.sock, host.read_timeout_s, client)
        return connection.getresponse()


def get_first_url(urls: str) -> str:
    """Return the first of several addresses, with its user and password."""
    return urls.split(",")[0].strip()


def _build_hop_request(
    method: str, target: str, headers: Headers, body: Body, content_length: int | None
) -> HopRequest:
    """Return a request as the hop takes it; what code on a loop sends has arrived whole."""
    whole = body if isinstance(body, bytes) else b"".join(body)
    raw = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers)
    return HopRequest(method.encode("latin-1"), target.encode("latin-1"), raw, whole, content_length)


def _use_host(host: Host, use: Use[Answered], *, may_repeat: bool) -> Answered:
    """Ask one host over a kept connection, or over a new one if OpenSearch has just closed that."""
    kept = host.take_idle(may_repeat=may_repeat)
    if kept is not None:
        try:
            return _use_connection(host, kept, use)
        except CONNECTION_LOST:
            if not may_repeat:
                raise
    return _use_connection(host, host.open_connection(), use)


def _use_connection(host: Host, connection: Connection, use: Use[Answered]) -> Answered:
    try:
        return use(host, connection)
    except BaseException:  # also if the body failed: OpenSearch must not wait for its end
        connection.close()
        raise

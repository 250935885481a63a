"""The connections to OpenSearch: kept alive, streamed both ways, every fault translated here."""

import select
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import urlsplit

from plugin.errors import UpstreamError, UpstreamTimeoutError
from plugin.http_messages import BLOCK_BYTES, Headers, end_to_end

_DROPPED = (BrokenPipeError, ConnectionResetError)


@dataclass(frozen=True)
class Exchange:
    """A whole answer of OpenSearch."""

    status: int
    reason: str
    headers: Headers
    body: bytes


class StreamedAnswer:
    """An answer that is read while it is passed on.

    Iterating yields the body's blocks as they come; `close` hands the connection back when everything was
    read, and cuts it otherwise, so that OpenSearch notices a client that has gone.
    """

    def __init__(self, upstream: "Upstream", connection: HTTPConnection, response: HTTPResponse) -> None:
        self._upstream = upstream
        self._connection = connection
        self._response = response
        self.status = response.status
        self.reason = response.reason
        self.headers = end_to_end(response.getheaders())

    def __iter__(self) -> Iterator[bytes]:
        try:
            while block := self._response.read1(BLOCK_BYTES):
                yield block
        except (HTTPException, OSError) as error:
            self.close()
            raise _translated(error, self._upstream.url) from error
        missing = self._response.length
        if missing:  # the server behind us must cut its connection too: raising makes it
            self.close()
            raise UpstreamError(f"{self._upstream.url} broke off {missing} bytes early")

    def close(self) -> None:
        """Release the connection."""
        self._upstream.release(self._connection, self._response)


class Upstream:
    """A pool of connections to one OpenSearch.

    Args:
        url: scheme, host and port; a path is not supported. A user in it is not used here: each caller
            has credentials of its own.
        connect_timeout_s: longest wait for a connection.
        read_timeout_s: longest silence while an answer is awaited or read.
        max_idle: how many unused connections are kept.

    Raises:
        ValueError: the URL is none of http or https with a host.
    """

    def __init__(
        self, url: str, *, connect_timeout_s: float = 3.0, read_timeout_s: float = 60.0, max_idle: int = 64
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
            shown = url.rpartition("@")[2]
            raise ValueError(f"expected an upstream such as http://127.0.0.1:9200, found {shown!r}")
        self.url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._is_tls = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port or (443 if self._is_tls else 9200)
        self._connect_timeout_s, self._read_timeout_s = connect_timeout_s, read_timeout_s
        self._max_idle = max_idle
        self._idle: list[HTTPConnection] = []
        self._lock = threading.Lock()

    def exchange(self, method: str, target: str, headers: Headers, body: bytes = b"") -> Exchange:
        """Send a request that may be sent twice, such as a search, and read the whole answer.

        Raises:
            UpstreamError: OpenSearch cannot be reached, or answers no HTTP.
            UpstreamTimeoutError: it does not answer in time.
        """
        kept = self._idle_connection()
        if kept is not None:
            try:
                return self._exchange(kept, method, target, headers, body)
            except _DROPPED:  # OpenSearch closed the kept connection just now: ask again on a new one
                pass
        try:
            return self._exchange(self._connected(), method, target, headers, body)
        except _DROPPED as error:
            raise _translated(error, self.url) from error

    def stream(
        self, method: str, target: str, headers: Headers, body: Iterable[bytes], content_length: int | None
    ) -> StreamedAnswer:
        """Send a request block by block (in chunks where `content_length` is None); the answer is read later.

        Raises:
            UpstreamError: OpenSearch cannot be reached, or answers no HTTP.
            UpstreamTimeoutError: it does not answer in time.
        """
        connection = self._idle_connection() or self._connected()
        try:
            response = _asked(connection, method, target, headers, body, content_length)
        except (HTTPException, OSError) as error:
            connection.close()
            raise _translated(error, self.url) from error
        except BaseException:  # the body could not be made: OpenSearch must not wait for its end
            connection.close()
            raise
        return StreamedAnswer(self, connection, response)

    def release(self, connection: HTTPConnection, response: HTTPResponse) -> None:
        """Keep the connection for the next request if its answer was read whole, else close it."""
        # `read1` leaves an answer of known length open after its last byte
        is_whole = response.isclosed() or (response.length == 0 and not response.chunked)
        is_reusable = is_whole and not response.will_close
        response.close()
        with self._lock:
            if is_reusable and len(self._idle) < self._max_idle:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close the connections that are kept."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def _exchange(
        self, connection: HTTPConnection, method: str, target: str, headers: Headers, body: bytes
    ) -> Exchange:
        try:
            response = _asked(connection, method, target, headers, (body,) if body else (), len(body))
            content = response.read()
        except _DROPPED:
            connection.close()
            raise
        except (HTTPException, OSError) as error:
            connection.close()
            raise _translated(error, self.url) from error
        self.release(connection, response)
        return Exchange(response.status, response.reason, end_to_end(response.getheaders()), content)

    def _idle_connection(self) -> HTTPConnection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if not _is_readable(connection):
                return connection
            connection.close()  # readable while nothing was asked: the other side has closed it

    def _connected(self) -> HTTPConnection:
        connection = self._new_connection()
        try:
            connection.connect()
        except OSError as error:
            raise _translated(error, self.url) from error
        connection.sock.settimeout(self._read_timeout_s)
        return connection

    def _new_connection(self) -> HTTPConnection:
        if self._is_tls:
            context = ssl.create_default_context()
            return _TlsConnection(self._host, self._port, timeout=self._connect_timeout_s, context=context)
        return _Connection(self._host, self._port, timeout=self._connect_timeout_s)


class _RawTarget:
    """Sends the request line as the client wrote it, also bytes above 127, which http.client refuses."""

    def _encode_request(self, request: str) -> bytes:
        return request.encode("latin-1")


class _Connection(_RawTarget, HTTPConnection):
    """HTTP."""


class _TlsConnection(_RawTarget, HTTPSConnection):
    """HTTPS."""


def _asked(
    connection: HTTPConnection,
    method: str,
    target: str,
    headers: Headers,
    body: Iterable[bytes],
    content_length: int | None,
) -> HTTPResponse:
    """Send one request and return its answer, body unread."""
    connection.putrequest(method, target, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value.encode("latin-1"))
    if content_length is None:
        connection.putheader("Transfer-Encoding", "chunked")
    elif content_length or method in ("POST", "PUT", "PATCH"):
        connection.putheader("Content-Length", str(content_length))
    _cork(connection, 1)  # head and body in one packet: OpenSearch is woken once
    with suppress(*_DROPPED):  # OpenSearch may answer, a 413 for instance, and stop listening: read that
        connection.endheaders(body, encode_chunked=content_length is None)
        _cork(connection, 0)
    return connection.getresponse()


def _cork(connection: HTTPConnection, value: int) -> None:
    """Hold back packets that are not full while `value` is 1, where the system can."""
    if hasattr(socket, "TCP_CORK"):
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, value)


def _is_readable(connection: HTTPConnection) -> bool:
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


def _translated(error: Exception, url: str) -> UpstreamError:
    if isinstance(error, TimeoutError):
        return UpstreamTimeoutError(
            f"expected an answer from OpenSearch at {url}, found none in time: {error}."
            " It is overloaded or the request is heavy; see its own log"
        )
    return UpstreamError(
        f"expected OpenSearch at {url}, found: {error or type(error).__name__}."
        " Check that it runs and that --upstream names it"
    )

"""One connection to OpenSearch: how a request is sent on it, and whether it can be reused.

OpenSearch may answer a request that it has not read. For a head over `http.max_header_size` it answers 400,
leaves the connection open, and never reads from it again. The next request on it would wait in vain.
"""

import re
import select
import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection, parse_headers

from plugin.errors import RequestBodyError
from plugin.http.headers import Headers
from plugin.http.messages import BLOCK_BYTES

Body = bytes | Iterable[bytes]
"""A request's body, whole or block by block."""

CONNECTION_LOST = (BrokenPipeError, ConnectionResetError)
"""Errors of a connection that the other side has closed."""

MAX_IDLE_S = 30.0
"""A connection that was idle for longer is not reused: a device in between may have dropped it.

OpenSearch closes none, but load balancers and NAT do after 60 s or more, some silently.
"""

MAX_IDLE_WRITE_S = 2.0
"""The same for a request that must not be sent twice. Some servers close after 5 s, and a new connection
costs far less than a write that may or may not have been carried out."""

SURELY_READ_BYTES = 2048
"""No server has a lower limit for heads: a 400 for a head up to this size is about the request's content."""

_UNREAD = frozenset({101, 408, 411, 413, 414, 417, 421, 426, 431, 501, 502, 504, 505})
"""Statuses that a server may send before it has read the whole request."""

_BAD_REQUEST = 400
_CONTINUE, _SWITCHING, _FINAL = 100, 101, 200
_TIMEOUT = re.compile(r"timeout\s*=\s*(\d+)", re.IGNORECASE)


class FinalResponse(HTTPResponse):
    """The final answer, after any interim ones; http.client itself mistakes a 103 for it."""

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not _CONTINUE < status < _FINAL or status == _SWITCHING:
                return version, status, reason
            parse_headers(self.fp)


class Connection(HTTPConnection):
    """A connection over HTTP.

    Attributes:
        is_in_doubt: its last request may have been answered without being read.
    """

    response_class = FinalResponse
    is_in_doubt = False
    _head_bytes = 0
    _released_s = 0.0
    _max_idle_s = MAX_IDLE_S

    def send_request(
        self, method: str, target: str, headers: Headers, body: Body, content_length: int | None
    ) -> None:
        """Send one request, its body in chunks if `content_length` is None.

        If OpenSearch answers early and stops reading, with a 413 for instance, that answer can still be read.

        Raises:
            RequestBodyError: the body could not be read.
            OSError: the connection broke, and there is no answer.
        """
        self._put_head(method, target, headers, content_length)
        _cork(self, 1)  # head and body in one packet: OpenSearch is woken once
        is_chunked = content_length is None
        try:
            self.endheaders(self._blocks(body, is_chunked=is_chunked), encode_chunked=is_chunked)
            _cork(self, 0)
        except CONNECTION_LOST:
            self.is_in_doubt = True
        except TimeoutError:
            if not is_readable(self):
                raise
            self.is_in_doubt = True

    def is_reusable_after(self, response: HTTPResponse) -> bool:
        """Whether it can carry another request: the last one was read, and `response` was read whole."""
        # `read1` leaves an answer of known length open after its last byte, and closes one that broke off
        is_whole = not response.length and (response.isclosed() or not response.chunked)
        is_unread = may_be_unread(response.status, self._head_bytes)
        return is_whole and not response.will_close and not is_unread and not self.is_in_doubt

    def record_release(self, response: HTTPResponse) -> None:
        """Record that it is idle from now on, and how long the other side says that it keeps it."""
        self._released_s = time.monotonic()
        self._max_idle_s = read_max_idle_s(response.getheader("keep-alive") or "")

    def is_fresh(self, *, may_repeat: bool) -> bool:
        """Whether it was idle for a short enough time to carry a request of this kind."""
        return is_fresh(self._released_s, self._max_idle_s, may_repeat=may_repeat)

    def _put_head(self, method: str, target: str, headers: Headers, content_length: int | None) -> None:
        self.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers:
            self.putheader(name, value.encode("latin-1"))
        if content_length is None:
            self.putheader("Transfer-Encoding", "chunked")
        elif content_length or method in ("POST", "PUT", "PATCH"):
            self.putheader("Content-Length", str(content_length))
        named = sum(len(name) + len(value) + 4 for name, value in headers)
        self._head_bytes = len(method) + len(target) + named

    def _blocks(self, body: Body, *, is_chunked: bool) -> Body:
        if isinstance(body, bytes) and len(body) <= BLOCK_BYTES:
            return body
        blocks = cut_blocks(body) if isinstance(body, bytes) else body
        return self._watch_blocks(blocks, is_chunked=is_chunked)

    def _watch_blocks(self, blocks: Iterable[bytes], *, is_chunked: bool) -> Iterator[bytes]:
        """Yield a body's blocks, and check for an answer before the last one is sent."""
        is_first = True
        for block in guard_blocks(blocks):
            if not is_first:
                self._watch()
            is_first = False
            yield block
        if is_chunked and not is_first:
            self._watch()

    def _watch(self) -> None:
        """Check for an answer; not over TLS, because readable bytes need not be part of one."""
        if not isinstance(self.sock, ssl.SSLSocket) and is_readable(self):
            self.is_in_doubt = True

    def _encode_request(self, request: str) -> bytes:
        """Return the request line as the client sent it, with bytes above 127, which http.client refuses."""
        return request.encode("latin-1")


class TlsConnection(Connection, HTTPSConnection):
    """A connection over HTTPS."""


def may_be_unread(status: int, head_bytes: int) -> bool:
    """Whether this status may come before the whole request was read; its head has so many bytes."""
    return status in _UNREAD or (status == _BAD_REQUEST and head_bytes > SURELY_READ_BYTES)


def read_max_idle_s(keep_alive: str) -> float:
    """Return how long a connection may be idle; `keep_alive` is the header's value, empty without one."""
    timeout = _TIMEOUT.search(keep_alive)
    return min(MAX_IDLE_S, int(timeout[1]) - 1) if timeout else MAX_IDLE_S


def is_fresh(released_s: float, max_idle_s: float, *, may_repeat: bool) -> bool:
    """Whether a connection that is idle since `released_s` (monotonic) can carry a request of this kind."""
    limit_s = max_idle_s if may_repeat else min(MAX_IDLE_WRITE_S, max_idle_s)
    return time.monotonic() - released_s < limit_s


def guard_blocks(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a body's blocks; their errors must not be mistaken for OpenSearch's.

    Raises:
        RequestBodyError: the next block cannot be read.
    """
    try:
        yield from blocks
    except OSError as error:
        raise RequestBodyError(f"expected the rest of a request's body, found: {error}") from error


def is_readable(connection: HTTPConnection) -> bool:
    """Whether there is something to read, including the end of the connection."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


def cut_blocks(body: bytes) -> Iterator[bytes]:
    """Yield a body in blocks of BLOCK_BYTES."""
    for start in range(0, len(body), BLOCK_BYTES):
        yield body[start : start + BLOCK_BYTES]


def _cork(connection: HTTPConnection, value: int) -> None:
    """Hold back partial packets while `value` is 1, if the system supports it."""
    if hasattr(socket, "TCP_CORK"):
        with suppress(*CONNECTION_LOST):
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, value)

"""One request of a client as it arrives on an event loop: its head, and its body while it is read.

gunicorn's own parser decides what the bytes mean, so that both cores refuse the same requests.
"""

import asyncio
from collections import deque

from gunicorn.asgi.parser import LimitRequestHeaders, LimitRequestLine, PythonProtocol
from gunicorn.http.errors import ExpectationFailed, UnsupportedTransferCoding

from plugin.http.headers import RawHeaders
from plugin.server.buffered_request import MAX_HELD_BYTES

MAX_FIELDS = 32_768
"""More than a head of the largest allowed size is worth looking at."""

MAX_BUFFERED_BYTES = 256 * 1024
"""Bytes of a body that wait to be sent on. While more wait, nothing is read from the client."""


class ClientRequest:
    """A request that arrives.

    Attributes:
        method, target, headers: as bytes; names of headers are in small letters.
        content_length: None if the body comes in chunks.
        is_http_1_0: the client speaks an old version, without chunks.
        keeps_connection: the client wants to send another request on the connection.
        expects_continue: the client waits for a 100 before it sends the body.
        has_head: all of the above are known.
        is_whole: everything has arrived.
    """

    def __init__(self, max_head_bytes: int) -> None:
        self.method = self.target = b""
        self.headers: RawHeaders = ()
        self.content_length: int | None = 0
        self.is_http_1_0 = self.keeps_connection = self.expects_continue = False
        self.has_head = self.is_whole = False
        self._max_head_bytes, self._num_received = max_head_bytes, 0
        self._blocks: deque[bytes] = deque()
        self.num_waiting = 0
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._parser = PythonProtocol(
            on_headers_complete=self._on_head,
            on_body=self._on_body,
            on_message_complete=self._on_end,
            limit_request_line=max_head_bytes,
            limit_request_fields=MAX_FIELDS,
            limit_request_field_size=max_head_bytes,
        )

    @property
    def is_long(self) -> bool:
        """Whether its body is read while it is answered: it is long, or nobody knows how long."""
        if not self.has_head or self.is_whole:
            return False
        length = self.content_length
        return length is None or length > MAX_HELD_BYTES or self.expects_continue

    @property
    def has_begun(self) -> bool:
        """Whether any byte has come."""
        return self._num_received > 0

    @property
    def is_past_line(self) -> bool:
        """Whether its first line has come whole."""
        return self._parser.method is not None

    def feed(self, data: bytes) -> None:
        """Parse what has arrived.

        Raises:
            ParseError, ParseException: it is no request that can be answered.
        """
        self._num_received += len(data)
        self._parser.feed(data)
        if not self.has_head and self._num_received > self._max_head_bytes:
            raise self._too_long()

    def take_rest(self) -> bytes:
        """Return what came after the end of this request."""
        rest: bytes = self._parser.remaining()
        return rest

    def take_body(self) -> bytes:
        """Return the body of a request that is whole."""
        body = b"".join(self._blocks)
        self._blocks.clear()
        self.num_waiting = 0
        return body

    async def read_block(self) -> bytes:
        """Return the next bytes of the body; none at its end.

        Raises:
            ClientDisconnectedError: the rest does not come.
            ParseError: the rest is no body.
        """
        while not self._blocks:
            if self._error is not None:
                raise self._error
            if self.is_whole:
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        block = self._blocks.popleft()
        self.num_waiting -= len(block)
        return block

    def fail(self, error: Exception) -> None:
        """Have whoever reads the body find this error."""
        if self._error is None and not self.is_whole:
            self._error = error
        self._wake()

    def _on_head(self) -> bool:
        """Read what the parser has found; the body is read too."""
        parser = self._parser
        self.method, self.target, self.headers = parser.method, parser.path, tuple(parser.headers)
        self.content_length = None if parser.is_chunked else (parser.content_length or 0)
        self.is_http_1_0, self.keeps_connection = parser.http_version == (1, 0), parser.should_keep_alive
        num_bytes = sum(len(name) + len(value) + 4 for name, value in self.headers)
        if num_bytes + len(self.method) + len(self.target) + 12 > self._max_head_bytes:
            raise self._too_long()
        for name, value in self.headers:
            lower = value.lower()
            if name == b"expect":
                if lower != b"100-continue":
                    raise ExpectationFailed(value.decode("latin-1"))
                self.expects_continue = not self.is_http_1_0
            elif name == b"transfer-encoding" and lower != b"chunked":
                raise UnsupportedTransferCoding(value.decode("latin-1"))
        self.has_head = True
        return False

    def _on_body(self, block: bytes) -> None:
        self._blocks.append(block)
        self.num_waiting += len(block)
        self._wake()

    def _on_end(self) -> None:
        self.is_whole = True
        self._wake()

    def _too_long(self) -> Exception:
        """Return the error of a head over the limit, which may be its first line alone."""
        limit = self._max_head_bytes
        error: Exception = (
            LimitRequestHeaders(f"a head of more than {limit} bytes")
            if self.is_past_line
            else LimitRequestLine(f"a line of more than {limit} bytes")
        )
        return error

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

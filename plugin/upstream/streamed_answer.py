"""An answer of OpenSearch that is read while it arrives, parsed by httptools."""

from collections import deque
from http.client import BadStatusLine, HTTPException, IncompleteRead, RemoteDisconnected
from typing import Protocol, cast

from httptools import HttpResponseParser

from plugin.errors import UpstreamError
from plugin.http.headers import RawHeaders, keep_raw_end_to_end
from plugin.upstream.connection import read_max_idle_s
from plugin.upstream.faults import translate_fault
from plugin.upstream.host import Host

MAX_BUFFERED_BYTES = 256 * 1024
"""Bytes of an answer that wait for its reader. While more wait, nothing is read from OpenSearch."""

MAX_HEAD_BYTES = 1024 * 1024
"""Names and values of an answer's headers together."""

_RESUME_BYTES = MAX_BUFFERED_BYTES // 4
_CONTINUE, _SWITCHING, _FINAL = 100, 101, 200


class AnswerSource(Protocol):
    """The connection that an answer arrives on."""

    host: Host

    async def wait(self) -> None:
        """Wait until something happens."""
        ...

    def pause_answer(self) -> None:
        """Read nothing more for now."""
        ...

    def resume_answer(self, answer: "StreamedAnswer") -> None:
        """Read on, if this answer is still the one that arrives."""
        ...

    def give_up(self, answer: "StreamedAnswer") -> None:
        """Close the connection, if this answer is the one that arrives."""
        ...


class StreamedAnswer:
    """An answer of OpenSearch. The methods that begin with `on_` are httptools'.

    Attributes:
        status, reason, headers: as they came, except headers of this connection; from `has_head` on.
        is_complete: everything has arrived.
        error: why nothing more will arrive.
    """

    def __init__(self, connection: AnswerSource, *, has_body: bool) -> None:
        self.status, self.reason, self.headers = 0, b"", cast(RawHeaders, ())
        self.has_head = self.is_complete = self.keeps_connection = False
        self.max_idle_s = read_max_idle_s("")
        self.error: Exception | None = None
        self._connection, self._has_body = connection, has_body
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._received: list[tuple[bytes, bytes]] = []
        self._head_bytes = self._num_waiting = 0
        self._num_missing: int | None = None
        self._is_chunked = False
        self._blocks: deque[bytes] = deque()

    @property
    def has_outcome(self) -> bool:
        """Whether its head is there, or never will be."""
        return self.has_head or self.error is not None

    async def read_block(self) -> bytes:
        """Return the next bytes of the body; none at its end.

        Raises:
            UpstreamError, UpstreamTimeoutError: the rest does not come.
        """
        url = self._connection.host.url
        try:
            return await self.next_block()
        except IncompleteRead as error:
            if error.expected:
                raise UpstreamError(f"{url} broke off {error.expected} bytes early") from error
            raise translate_fault(error, url) from error
        except (HTTPException, OSError) as error:
            raise translate_fault(error, url) from error

    async def next_block(self) -> bytes:
        """As `read_block`, but raise faults as they are, so that another host can be asked."""
        while not self._blocks:
            if self.is_complete:
                return b""
            if self.error is not None:
                raise self.error
            await self._connection.wait()
        block = self._blocks.popleft()
        self._num_waiting -= len(block)
        if self._num_waiting < _RESUME_BYTES:
            self._connection.resume_answer(self)
        return block

    def close(self) -> None:
        """Give up what has not arrived yet. Its connection is closed, so that OpenSearch notices."""
        if not self.is_complete:
            self._connection.give_up(self)

    def feed(self, data: bytes) -> None:
        """Parse what has arrived.

        Raises:
            HttpParserError, HttpParserUpgrade: it is no answer, or more than one.
        """
        if self._parser is not None:
            self._parser.feed_data(data)

    def end(self, error: Exception | None) -> None:
        """Record that the connection has ended; a body without a length ends with it."""
        self._parser = None  # it refers to this object
        if self.is_complete or self.error is not None:
            return
        if error is not None:
            self.error = error
        elif not self.has_head:
            self.error = RemoteDisconnected("Remote end closed connection without response")
        elif self._is_chunked or self._num_missing is not None:
            self.error = IncompleteRead(b"", self._num_missing)
        else:
            self.is_complete = True

    def on_message_begin(self) -> None:  # noqa: D102
        if self.is_complete:
            raise BadStatusLine("a second answer to one request")

    def on_status(self, part: bytes) -> None:  # noqa: D102
        self.reason += part

    def on_header(self, name: bytes, value: bytes) -> None:  # noqa: D102
        if self.has_head:  # a trailer
            return
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise BadStatusLine(f"a head of more than {MAX_HEAD_BYTES} bytes")
        self._received.append((name, value))

    def on_headers_complete(self) -> None:  # noqa: D102
        status: int = cast(HttpResponseParser, self._parser).get_status_code()
        if _CONTINUE <= status < _FINAL and status != _SWITCHING:  # an interim one
            self.reason, self._received = b"", []
            return
        self.status, self.headers = status, keep_raw_end_to_end(self._received)
        for name, value in self._received:
            lower = name.lower()
            if lower == b"content-length":
                self._num_missing = int(value)
            elif lower == b"transfer-encoding":
                self._is_chunked = value.lower().endswith(b"chunked")
            elif lower == b"keep-alive":
                self.max_idle_s = read_max_idle_s(value.decode("latin-1"))
        self.has_head = True
        if not self._has_body:
            self.on_message_complete()

    def on_body(self, block: bytes) -> None:  # noqa: D102
        if self.is_complete:
            raise BadStatusLine("a body in an answer to HEAD")
        self._blocks.append(block)
        self._num_waiting += len(block)
        if self._num_missing is not None:
            self._num_missing -= len(block)
        if self._num_waiting > MAX_BUFFERED_BYTES:
            self._connection.pause_answer()

    def on_message_complete(self) -> None:  # noqa: D102
        if self.has_head and not self.is_complete:
            self.is_complete = True
            self.keeps_connection = cast(HttpResponseParser, self._parser).should_keep_alive()

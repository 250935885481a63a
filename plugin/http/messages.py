"""A request and its answer, as the proxy passes them on."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from http.client import responses
from typing import Protocol
from urllib.parse import urlsplit

from plugin.http.headers import Environ, Headers, read_asked_address, read_headers
from plugin.http.request_context import ClientDisconnectedError, RequestContext
from plugin.http.request_queue import read_queued_s

BLOCK_BYTES = 64 * 1024

_ABSOLUTE = re.compile("[A-Za-z][A-Za-z0-9+.-]*://")


class ResponseOutcome(Protocol):
    """What the proxy made of a request; it is rendered as headers when the response is sent."""

    def headers(self) -> Headers:
        """Return the headers that tell a client."""
        ...


class ByteStream(Protocol):
    """A request's body."""

    def read(self, size: int = ..., /) -> bytes:
        """Return up to `size` bytes; none at the end."""
        ...


@dataclass(frozen=True)
class _ClientStream:
    """A body as gunicorn reads it. Errors of the client must not be mistaken for OpenSearch's."""

    stream: ByteStream

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self.stream.read(size)
        except OSError as error:
            raise ClientDisconnectedError(
                f"expected the rest of a body, found: {error or type(error)}"
            ) from error


@dataclass(frozen=True)
class Request:
    """A request as the client sent it: raw target, end-to-end headers, unread body.

    `content_length` is None if the body comes in chunks, and 0 if there is none. `asked_address` is the
    host and port that the client asked, empty if it does not say. `context` goes where the request goes.
    """

    method: str
    target: str
    headers: Headers
    stream: ByteStream
    content_length: int | None
    asked_address: str = ""
    context: RequestContext = field(default_factory=RequestContext, compare=False)

    @classmethod
    def from_environ(cls, environ: Environ) -> "Request":
        """Read gunicorn's WSGI environment, which has the raw target in RAW_URI."""
        chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
        length = None if chunked else int(environ.get("CONTENT_LENGTH") or 0)
        stream = environ["wsgi.input"]
        return cls(
            environ["REQUEST_METHOD"],
            read_origin_form(environ["RAW_URI"]),
            read_headers(environ),
            _ClientStream(stream),
            length,
            read_asked_address(environ),
            RequestContext(read_queued_s(stream), environ.get("gunicorn.socket")),
        )

    @property
    def path(self) -> str:
        """The raw path, without the query."""
        return self.target.partition("?")[0]

    def header(self, name: str) -> str:
        """Return a header's value by its lower-case name, empty if it is absent."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    def headers_without(self, *names: str) -> Headers:
        """Return the headers without those of these lower-case names."""
        return tuple(header for header in self.headers if header[0].lower() not in names)

    def blocks(self, first: bytes = b"") -> Iterator[bytes]:
        """Yield the body block by block; `first` is the part that was read already.

        Raises:
            ClientDisconnectedError: the client left before it sent the whole body.
        """
        received = len(first)
        if first:
            yield first
        while block := self.stream.read(BLOCK_BYTES):
            received += len(block)
            yield block
        if self.content_length is not None and received < self.content_length:
            raise ClientDisconnectedError(
                f"expected a body of {self.content_length} bytes, found {received} before the client left"
            )

    def without_client(self) -> "Request":
        """Return a request that is answered to its end even if the client disconnects."""
        return replace(self, context=self.context.without_client())

    def is_whole(self, read: bytes) -> bool:
        """Whether `read` is the whole body, so that it can be sent again."""
        return self.content_length == len(read)


@dataclass(frozen=True)
class Response:
    """A response: whole as bytes, or a stream of blocks whose `close`, if any, is called at the end.

    `outcome` is what the proxy itself did, None if it only passed the response on.
    """

    status: int
    headers: Headers
    body: bytes | Iterable[bytes]
    reason: str = ""
    outcome: ResponseOutcome | None = None

    @property
    def status_line(self) -> str:
        """Status and reason phrase, as WSGI takes them."""
        return f"{self.status} {self.reason or responses.get(self.status, 'Unknown')}"

    def with_headers(self, *added: tuple[str, str]) -> "Response":
        """Return the same response with further headers."""
        return replace(self, headers=(*self.headers, *added))


def read_origin_form(raw_target: str) -> str:
    """Return the path and query of a target in absolute form; any other target as it is."""
    if not _ABSOLUTE.match(raw_target):
        return raw_target
    parts = urlsplit(raw_target)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

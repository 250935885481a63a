"""One request and one answer on their way through the proxy."""

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http.client import responses
from typing import Any, Protocol
from urllib.parse import urlsplit

from opensearch.credentials import basic_authorization
from plugin.http.client_presence import ClientGoneError
from plugin.http.underscored_headers import underscored

Headers = tuple[tuple[str, str], ...]
Environ = dict[str, Any]

BLOCK_BYTES = 64 * 1024

HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
    "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
"""Headers that speak of one connection, not of the message (RFC 9110, section 7.6.1)."""

_NOT_FORWARDED = HOP_BY_HOP | {"host", "content-length", "expect"}


IDENTITY = frozenset({
    "authorization", "cookie", "opendistro_security_impersonate_as", "securitytenant", "x-forwarded-for",
    "x-proxy-roles", "x-proxy-user",
})  # fmt: skip
"""Headers that tell OpenSearch who asks, and so decide what it shows."""

_ADDRESS = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
_MAX_PORT = 65535
_ABSOLUTE = re.compile("[A-Za-z][A-Za-z0-9+.-]*://")


class ByteStream(Protocol):
    """What is read of a request's body."""

    def read(self, size: int = ..., /) -> bytes:
        """Return up to `size` bytes, none at the end."""
        ...


@dataclass(frozen=True)
class _ClientStream:
    """A body as gunicorn reads it; its client's errors must not be taken for OpenSearch's."""

    stream: ByteStream

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self.stream.read(size)
        except OSError as error:
            raise ClientGoneError(f"expected the rest of a body, found: {error or type(error)}") from error


@dataclass(frozen=True)
class Request:
    """A request as the client sent it: raw target, end-to-end headers, body yet to be read.

    `content_length` is None where the body comes in chunks; 0 where there is none. `asked_address` is the
    host and port by which the client asked, empty if it does not say.
    """

    method: str
    target: str
    headers: Headers
    stream: ByteStream
    content_length: int | None
    asked_address: str = ""

    @classmethod
    def from_environ(cls, environ: Environ) -> "Request":
        """Read a WSGI environment of gunicorn's, which keeps the raw target in RAW_URI."""
        chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
        length = None if chunked else int(environ.get("CONTENT_LENGTH") or 0)
        return cls(
            environ["REQUEST_METHOD"], _origin_form(environ["RAW_URI"]), _headers(environ),
            _ClientStream(environ["wsgi.input"]), length, _asked_address(environ),
        )  # fmt: skip

    @property
    def path(self) -> str:
        """The raw path, without the query."""
        return self.target.partition("?")[0]

    def header(self, name: str) -> str:
        """Return a header's value by its lower-case name, empty where it is absent."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    def headers_without(self, *names: str) -> Headers:
        """Return the headers but those of these lower-case names."""
        return tuple(header for header in self.headers if header[0].lower() not in names)

    def blocks(self, first: bytes = b"") -> Iterator[bytes]:
        """Yield the body block by block, `first` being what was read of it already.

        Raises:
            ClientGoneError: the client left before it had sent as much as it announced, or sends no body.
        """
        received = len(first)
        if first:
            yield first
        while block := self.stream.read(BLOCK_BYTES):
            received += len(block)
            yield block
        if self.content_length is not None and received < self.content_length:
            raise ClientGoneError(
                f"expected a body of {self.content_length} bytes, found {received} before the client left"
            )

    def is_whole(self, read: bytes) -> bool:
        """Whether `read` is all of the body, so that it can be sent once more."""
        return self.content_length == len(read)


@dataclass(frozen=True)
class Response:
    """An answer: whole as bytes, or a stream of blocks whose `close`, if any, is called at the end."""

    status: int
    headers: Headers
    body: bytes | Iterable[bytes]
    reason: str = field(default="")

    @property
    def status_line(self) -> str:
        """Status and reason phrase, as WSGI takes them."""
        return f"{self.status} {self.reason or responses.get(self.status, 'Unknown')}"

    def with_headers(self, *added: tuple[str, str]) -> "Response":
        """Return the same answer with further headers."""
        return Response(self.status, (*self.headers, *added), self.body, self.reason)


def end_to_end(headers: Iterable[tuple[str, str]]) -> Headers:
    """Return the headers that may travel on: not the hop's own, nor those that `Connection` names."""
    headers = tuple(headers)
    named = ",".join(value for name, value in headers if name.lower() == "connection")
    dropped = HOP_BY_HOP | {name.strip().lower() for name in named.split(",")}
    dropped -= IDENTITY  # which `Connection` must not name: a request would lose whose it is
    return tuple(header for header in headers if header[0].lower() not in dropped)


def is_address(text: str) -> bool:
    """Whether a text is a host and a port."""
    found = _ADDRESS.fullmatch(text)
    return found is not None and 0 < int(found[1]) <= _MAX_PORT


def basic_credentials(url: str) -> Headers:
    """Return the header for the user and password in a URL, none where it names no user."""
    value = basic_authorization(url)
    return () if value is None else (("Authorization", value),)


def gunzipped(body: bytes, limit_bytes: int) -> bytes | None:
    """Return the content of a gzip body; None where it is damaged or longer than `limit_bytes`."""
    inflate = zlib.decompressobj(wbits=31)  # 31: a gzip header is expected
    try:
        content = inflate.decompress(body, limit_bytes)
    except zlib.error:
        return None
    return content if inflate.eof and not inflate.unused_data else None


def _headers(environ: Environ) -> Headers:
    sent = [
        (key[5:].replace("_", "-").title(), value)
        for key, value in environ.items()
        if key.startswith("HTTP_")
    ]
    if environ.get("CONTENT_TYPE"):
        sent.append(("Content-Type", environ["CONTENT_TYPE"]))
    sent += underscored(environ)
    kept = (header for header in end_to_end(sent) if header[0].lower() not in _NOT_FORWARDED)
    return tuple(header for header in kept if not _is_never_answered(*header))


def _is_never_answered(name: str, value: str) -> bool:
    """Whether a header makes OpenSearch (3.8) fall silent: it would hold a thread until the read timeout."""
    return name.lower() == "accept" and value != "" and not value.strip("; ")


def _asked_address(environ: Environ) -> str:
    """Return the host and port in `Host`; a host alone has its scheme's port."""
    host = str(environ.get("HTTP_HOST", ""))
    port = 443 if environ.get("wsgi.url_scheme") == "https" else 80
    named = host if re.search(":[0-9]+$", host) else f"{host}:{port}"
    return named if is_address(named) else ""


def _origin_form(raw_target: str) -> str:
    """Return path and query of a target in absolute form, any other as it is: the upstream is fixed."""
    if not _ABSOLUTE.match(raw_target):
        return raw_target
    parts = urlsplit(raw_target)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def warnings_of(headers: Headers) -> Headers:
    """Return the `Warning` headers among them."""
    return tuple(header for header in headers if header[0].lower() == "warning")

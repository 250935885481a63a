"""Headers: which are forwarded, who is asking, and the address that the client asked."""

import re
from collections.abc import Iterable
from typing import Any

from opensearch.credentials import basic_authorization
from plugin.http.underscored_headers import read_underscored

Headers = tuple[tuple[str, str], ...]
RawHeaders = tuple[tuple[bytes, bytes], ...]
"""Headers as they are on the wire; names keep their case."""

Environ = dict[str, Any]

HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
    "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
"""Headers of one connection, not of the message (RFC 9110, section 7.6.1)."""

_NOT_FORWARDED = HOP_BY_HOP | {"host", "content-length", "expect"}


IDENTITY = frozenset({
    "authorization", "cookie", "opendistro_security_impersonate_as", "securitytenant", "x-forwarded-for",
    "x-proxy-roles", "x-proxy-user",
})  # fmt: skip
"""Headers that tell OpenSearch who is asking, and so decide what it shows."""

_RAW_HOP_BY_HOP = frozenset(name.encode() for name in HOP_BY_HOP)
_RAW_IDENTITY = frozenset(name.encode() for name in IDENTITY)
_ADDRESS = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
_MAX_PORT = 65535


def keep_end_to_end(headers: Iterable[tuple[str, str]]) -> Headers:
    """Return the end-to-end headers: not the hop's own, nor those that `Connection` names."""
    headers = tuple(headers)
    named = ",".join(value for name, value in headers if name.lower() == "connection")
    dropped = HOP_BY_HOP | {name.strip().lower() for name in named.split(",")}
    dropped -= IDENTITY  # `Connection` cannot drop these: the request would become anonymous
    return tuple(header for header in headers if header[0].lower() not in dropped)


def keep_raw_end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
    """Return the end-to-end headers of a message as `keep_end_to_end` does, without decoding them."""
    dropped, kept = _RAW_HOP_BY_HOP, []
    for name, value in headers:
        lower = name.lower()
        if lower == b"connection":
            dropped = dropped | {each.strip().lower() for each in value.split(b",")} - _RAW_IDENTITY
        kept.append((lower, name, value))
    return tuple((name, value) for lower, name, value in kept if lower not in dropped)


def is_address(text: str) -> bool:
    """Whether a text is a host and a port."""
    found = _ADDRESS.fullmatch(text)
    return found is not None and 0 < int(found[1]) <= _MAX_PORT


def read_credentials(url: str) -> Headers:
    """Return the `Authorization` header for the user and password in a URL; none if it has no user."""
    value = basic_authorization(url)
    return () if value is None else (("Authorization", value),)


def select_warnings(headers: Headers) -> Headers:
    """Return the `Warning` headers."""
    return tuple(header for header in headers if header[0].lower() == "warning")


def read_headers(environ: Environ) -> Headers:
    """Return the headers of a WSGI environment that are forwarded to OpenSearch."""
    sent = [
        (key[5:].replace("_", "-").title(), value)
        for key, value in environ.items()
        if key.startswith("HTTP_")
    ]
    if environ.get("CONTENT_TYPE"):
        sent.append(("Content-Type", environ["CONTENT_TYPE"]))
    sent += read_underscored(environ)
    return keep_forwarded(sent)


def keep_forwarded(headers: Iterable[tuple[str, str]]) -> Headers:
    """Return the headers of a request that are forwarded to OpenSearch."""
    kept = (header for header in keep_end_to_end(headers) if header[0].lower() not in _NOT_FORWARDED)
    return tuple(header for header in kept if not _silences_opensearch(*header))


def _silences_opensearch(name: str, value: str) -> bool:
    """Whether OpenSearch (3.8) never answers a request with this header, which would hold a thread."""
    return name.lower() == "accept" and value != "" and not value.strip("; ")


def read_asked_address(environ: Environ) -> str:
    """Return the host and port in `Host`; a host alone has its scheme's port."""
    host = str(environ.get("HTTP_HOST", ""))
    port = 443 if environ.get("wsgi.url_scheme") == "https" else 80
    named = host if re.search(":[0-9]+$", host) else f"{host}:{port}"
    return named if is_address(named) else ""

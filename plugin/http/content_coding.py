"""Compressed bodies: the codings that can be read here, and how to change a body's content."""

import zlib
from collections.abc import Callable
from dataclasses import replace

from plugin.http.headers import Headers
from plugin.http.messages import Response

_WINDOW_BITS = {"gzip": 31, "deflate": 15}
"""zlib's for each coding: gzip has a header of its own, HTTP's `deflate` zlib's."""

_FORWARDED = frozenset({*_WINDOW_BITS, "identity"})


def keep_readable_codings(headers: Headers) -> Headers:
    """Return the headers with `Accept-Encoding` limited to codings that can be read here.

    OpenSearch also knows snappy, and uses it if a client allows any coding.
    """
    kept = []
    for name, value in headers:
        if name.lower() != "accept-encoding":
            kept.append((name, value))
            continue
        codings = [each.strip() for each in value.split(",")]
        readable = [each for each in codings if each.partition(";")[0].strip().lower() in _FORWARDED]
        kept += [(name, ", ".join(readable))] if readable else []
    return tuple(kept)


def find_coding(headers: Headers) -> str:
    """Return the coding of a body, empty if it is not compressed."""
    found = next((value for name, value in headers if name.lower() == "content-encoding"), "").lower()
    return "" if found == "identity" else found


def decode_body(body: bytes, coding: str, limit_bytes: int) -> bytes | None:
    """Return a body's content; None if it is damaged, or longer than `limit_bytes`."""
    if not coding:
        return body
    if coding not in _WINDOW_BITS:
        return None
    inflate = zlib.decompressobj(wbits=_WINDOW_BITS[coding])
    try:
        content = inflate.decompress(body, limit_bytes)
    except zlib.error:
        return None
    return content if inflate.eof and not inflate.unused_data else None


def change_body(answer: Response, change: Callable[[bytes], bytes], limit_bytes: int) -> Response | None:
    """Return an answer with its content changed and uncompressed, or as it came if nothing changes.

    Returns None if the body is a stream or its content cannot be read.
    """
    body = answer.body
    content = decode_body(body, find_coding(answer.headers), limit_bytes) if isinstance(body, bytes) else None
    if content is None:
        return None
    changed = change(content)
    if changed == content:
        return answer
    kept = tuple(header for header in answer.headers if header[0].lower() != "content-encoding")
    return replace(answer, headers=kept, body=changed)

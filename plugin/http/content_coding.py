"""Packed bodies of answers: which codings can be read here, and how one is changed inside."""

import zlib
from collections.abc import Callable
from dataclasses import replace

from plugin.http.messages import Headers, Response

_WINDOW_BITS = {"gzip": 31, "deflate": 15}
"""zlib's for each coding: gzip has a header of its own, HTTP's `deflate` zlib's."""

_FORWARDED = frozenset({*_WINDOW_BITS, "identity"})


def readable_codings(headers: Headers) -> Headers:
    """Return headers that ask for no other coding than those that can be read here.

    OpenSearch knows snappy too, and takes it where a client allows any coding.
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


def coding_of(headers: Headers) -> str:
    """Return an answer's coding, empty if it is not packed."""
    found = next((value for name, value in headers if name.lower() == "content-encoding"), "").lower()
    return "" if found == "identity" else found


def unpacked(body: bytes, coding: str, limit_bytes: int) -> bytes | None:
    """Return a body's content; None if it cannot be unpacked, or is longer than `limit_bytes`."""
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


def with_change(answer: Response, change: Callable[[bytes], bytes], limit_bytes: int) -> Response | None:
    """Return a whole answer with its content changed, unpacked then; as it came if there is no change.

    None: its content cannot be read.
    """
    body = answer.body
    content = unpacked(body, coding_of(answer.headers), limit_bytes) if isinstance(body, bytes) else None
    if content is None:
        return None
    changed = change(content)
    if changed == content:
        return answer
    kept = tuple(header for header in answer.headers if header[0].lower() != "content-encoding")
    return replace(answer, headers=kept, body=changed)

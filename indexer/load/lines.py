"""Lines of a file or stream, decompressed if need be, with their numbers and unchanged bytes."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from indexer.errors import InputError

MAX_LINE_BYTES = 90_000_000
"""Longer lines are not read: OpenSearch itself takes no request above 100 MiB unless set otherwise."""

UTF8_MARK = b"\xef\xbb\xbf"

READ_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""The errors of damaged or cut data."""

_GZIP_MAGIC, _BZIP2_MAGIC, _XZ_MAGIC = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00"


@dataclass(frozen=True)
class Line:
    """One line without its end; `number` counts from 1. `whole` is False if the limit has cut it.

    `refusal` says why it cannot become a document, if that is known already.
    """

    number: int
    raw: bytes
    whole: bool = True
    refusal: str | None = None


def decompress(stream: io.BufferedReader) -> io.BufferedIOBase:
    """Return the plain bytes of a stream; gzip, bzip2 and xz are recognised by their first bytes."""
    start = stream.peek(len(_XZ_MAGIC))
    if start.startswith(_GZIP_MAGIC):
        return gzip.GzipFile(fileobj=stream)
    if start.startswith(_BZIP2_MAGIC):
        return bz2.BZ2File(stream)
    if start.startswith(_XZ_MAGIC):
        return lzma.LZMAFile(stream)
    return stream


def read_lines(stream: io.BufferedReader, *, max_bytes: int = MAX_LINE_BYTES) -> Iterator[Line]:
    """Yield the lines of a stream, plain or compressed, that are not blank.

    A line longer than `max_bytes` is cut there and marked. A byte order mark at the beginning is dropped.

    Raises:
        InputError: the stream breaks off, or its compressed data are damaged.
    """
    return read_plain_lines(decompress(stream), max_bytes=max_bytes)


def read_plain_lines(plain: io.BufferedIOBase, *, max_bytes: int = MAX_LINE_BYTES) -> Iterator[Line]:
    """Yield the lines of plain bytes, as `read_lines` does."""
    number = 0
    try:
        while raw := plain.readline(max_bytes + 1):
            number += 1
            line = _make_line(number, raw, max_bytes)
            if not line.whole:
                _skip_line(plain)
            if line.raw.strip():
                yield line
    except READ_ERRORS as error:
        raise InputError(f"the input breaks off after line {number}: {error}") from error


def _make_line(number: int, raw: bytes, max_bytes: int) -> Line:
    if len(raw) > max_bytes and not raw.endswith(b"\n"):
        return Line(number, raw[:max_bytes], whole=False)
    start = len(UTF8_MARK) if number == 1 and raw.startswith(UTF8_MARK) else 0
    return Line(number, raw[start:].rstrip(b"\r\n"))


def _skip_line(stream: io.BufferedIOBase) -> None:
    while (part := stream.readline(1 << 20)) and not part.endswith(b"\n"):
        pass

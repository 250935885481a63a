"""Lines of a file or stream, plain or gzip, by number, each as the bytes that stand there."""

import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from indexer.errors import InputError

MAX_LINE_BYTES = 90_000_000
"""Longer lines are not read: OpenSearch itself takes no request above 100 MiB unless set otherwise."""

_GZIP_MAGIC = b"\x1f\x8b"
_UTF8_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Line:
    """One line without its end; `number` counts from 1. `whole` is False where the limit has cut it."""

    number: int
    raw: bytes
    whole: bool = True


def read_lines(stream: io.BufferedReader, *, max_bytes: int = MAX_LINE_BYTES) -> Iterator[Line]:
    """Yield the lines of a stream that are not blank; gzip is recognised by its first bytes.

    A line longer than `max_bytes` is cut there and marked. A byte order mark at the beginning is dropped.

    Raises:
        InputError: the stream breaks off, or its gzip data are damaged.
    """
    plain: io.BufferedIOBase = gzip.GzipFile(fileobj=stream) if stream.peek(2)[:2] == _GZIP_MAGIC else stream
    number = 0
    try:
        while raw := plain.readline(max_bytes + 1):
            number += 1
            line = _line(number, raw, max_bytes)
            if not line.whole:
                _skip_line(plain)
            if line.raw.strip():
                yield line
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"the input breaks off after line {number}: {error}") from error


def _line(number: int, raw: bytes, max_bytes: int) -> Line:
    if len(raw) > max_bytes and not raw.endswith(b"\n"):
        return Line(number, raw[:max_bytes], whole=False)
    start = len(_UTF8_MARK) if number == 1 and raw.startswith(_UTF8_MARK) else 0
    return Line(number, raw[start:].rstrip(b"\r\n"))


def _skip_line(stream: io.BufferedIOBase) -> None:
    while (part := stream.readline(1 << 20)) and not part.endswith(b"\n"):
        pass

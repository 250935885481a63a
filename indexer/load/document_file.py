"""The documents of a file in any supported form, as lines."""

import io
from collections.abc import Iterator
from itertools import chain

from indexer.load.bulk_file import read_bulk_documents, unwrap_hits
from indexer.load.file_form import Form, recognise_form
from indexer.load.json_values import read_values
from indexer.load.lines import READ_ERRORS, Line, decompress, read_plain_lines

HEAD_BYTES = 1 << 16
"""How much of a file is read to recognise its form; of a pipe, its first two lines may do."""


def read_documents(stream: io.BufferedReader) -> Iterator[Line]:
    """Return the documents of a stream, plain or compressed, each as a line of JSON.

    They may be JSON lines, one array, objects spread over lines, hits with `_source`, or a `_bulk` request.
    The form is recognised before this returns.

    Raises:
        InputError: the file has another form, which the message names; later, the stream breaks off.
    """
    plain = decompress(stream)
    head, end = _read_head(plain)
    form = recognise_form(head, ended=end is not None)
    whole = io.BufferedReader(_Continued(head, plain, end))
    if form is Form.VALUES:
        return _read_as_values(read_values(whole))
    return _read_in_form(form, read_plain_lines(whole))


def _read_as_values(values: Iterator[Line]) -> Iterator[Line]:
    """Return values as documents, in the form that the first one has."""
    first = next(values, None)
    if first is None:
        return iter(())
    form = recognise_form(first.raw, ended=True) if first.raw.startswith(b"{") else Form.LINES
    return _read_in_form(form, chain([first], values))


def _read_in_form(form: Form, lines: Iterator[Line]) -> Iterator[Line]:
    if form is Form.BULK:
        return read_bulk_documents(lines)
    return unwrap_hits(lines) if form is Form.HITS else lines


def _read_head(plain: io.BufferedIOBase) -> tuple[bytes, Exception | bool | None]:
    """Return the beginning, and what ended it: True for the end, an error, None if there is more."""
    head = b""
    try:
        while len(head) < HEAD_BYTES:
            part = plain.read1(HEAD_BYTES - len(head))
            if not part:
                return head, True
            head += part
            if head.count(b"\n") > 1:
                break
    except READ_ERRORS as error:
        return head, error
    return head, None


class _Continued(io.RawIOBase):
    """What was read already, and the rest."""

    def __init__(self, head: bytes, rest: io.BufferedIOBase, end: Exception | bool | None) -> None:
        self._head, self._rest, self._end = head, rest, end

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]  # any buffer, in typeshed
        """Fill a buffer."""
        if self._head:
            part, self._head = self._head[: len(buffer)], self._head[len(buffer) :]
        elif isinstance(self._end, Exception):
            raise self._end
        else:
            part = b"" if self._end else self._rest.read1(len(buffer))
        buffer[: len(part)] = part
        return len(part)

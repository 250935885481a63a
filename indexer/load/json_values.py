"""JSON values that are not one a line: the elements of one array, or objects spread over lines."""

import codecs
import io
import json
import re
from collections.abc import Iterator

from indexer.errors import InputError
from indexer.load.lines import MAX_LINE_BYTES, READ_ERRORS, Line

CHUNK_BYTES = 1 << 20

_SPACE = re.compile(r"[ \t\n\r]*")
_LINE_ENDS = str.maketrans("\r\n", "  ")
# Numbers are never looked at; as floats they cannot hit Python's limit of digits in an integer.
_DECODER = json.JSONDecoder(parse_int=float)
_LONGEST_TOKEN = 16
"""An error this near to the end may be in the middle of a token: a number, `\\u00e9`."""


def read_values(stream: io.BufferedIOBase, *, max_bytes: int = MAX_LINE_BYTES) -> Iterator[Line]:
    """Yield each element of an array, or each of several values, as a line of its own.

    `number` counts the values from 1. Line ends between a value's tokens become blanks; its other characters
    stay as they are. A value longer than `max_bytes` is cut there and marked.

    Raises:
        InputError: the stream breaks off, is no UTF-8 or no JSON, or a value that is too long does not end.
    """
    return _Values(stream, max_bytes).read()


class _Values:
    """The text that was read and not yet yielded; it grows until a value is whole."""

    def __init__(self, stream: io.BufferedIOBase, max_bytes: int) -> None:
        self._stream = stream
        self._max_bytes = max_bytes
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._text = ""
        self._place = 0
        self._ended = False
        self._number = 0

    def read(self) -> Iterator[Line]:
        """Yield every value."""
        in_array = self._take("[")
        while not (self._take("]") if in_array else self._at_end()):
            if in_array and self._number and not self._take(","):
                raise self._make_error("expected , or ]")
            raw = self._read_value().translate(_LINE_ENDS).encode()
            self._number += 1
            yield Line(self._number, raw[: self._max_bytes], whole=len(raw) <= self._max_bytes)
        if not self._at_end():
            raise self._make_error("more after the array's end")

    def _read_value(self) -> str:
        while True:
            self._skip_space()
            try:
                _, end = _DECODER.raw_decode(self._text, self._place)
            except json.JSONDecodeError as error:
                is_cut = error.pos > len(self._text) - _LONGEST_TOKEN or error.msg.startswith("Unterminated")
                if self._ended or not is_cut:
                    raise self._make_error(error.msg) from error
            except RecursionError as error:
                raise self._make_error("nested too deeply") from error
            else:
                if end < len(self._text) or self._ended:  # at the very end, a number may go on
                    value, self._place = self._text[self._place : end], end
                    return value
            if len(self._text) - self._place > self._max_bytes:
                raise self._make_error(f"expected at most {self._max_bytes} bytes in a document, found more")
            self._fill()

    def _take(self, mark: str) -> bool:
        """Step over a mark, if it is the next one."""
        self._skip_space()
        found = self._text.startswith(mark, self._place)
        self._place += found
        return found

    def _at_end(self) -> bool:
        self._skip_space()
        return self._place == len(self._text)

    def _skip_space(self) -> None:
        """Go to the next character that is no space, if there is one."""
        while True:
            matched = _SPACE.match(self._text, self._place)
            self._place = matched.end() if matched else self._place
            if self._place < len(self._text) or self._ended:
                return
            self._fill()

    def _fill(self) -> None:
        """Read as much again as there is, so that a long value is not parsed too often."""
        rest = self._text[self._place :]
        try:
            data = self._stream.read(max(CHUNK_BYTES, len(rest)))
            self._text, self._place = rest + self._decode(data, not data), 0
        except (*READ_ERRORS, UnicodeDecodeError) as error:
            raise self._make_error(str(error)) from error
        self._ended = not data

    def _make_error(self, why: str) -> InputError:
        return InputError(f"the input breaks off after document {self._number}: {why}")

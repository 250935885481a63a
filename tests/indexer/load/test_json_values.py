"""JSON values that are not one a line: an array's elements, and objects over several lines."""

import io
import json
from collections.abc import Iterator

import pytest

from indexer.errors import InputError
from indexer.load.json_values import read_values
from indexer.load.lines import Line


class Slowly(io.RawIOBase):
    """A stream that gives few bytes at a time, as a pipe may."""

    def __init__(self, data: bytes, step: int) -> None:
        self._data, self._step = data, step

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        step = min(self._step, len(buffer))
        part, self._data = self._data[:step], self._data[step:]
        buffer[: len(part)] = part
        return len(part)


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_values_may_be_cut_anywhere(step: int) -> None:
    values = [{"a": 1.5e3, "é": 'x\\"}', "n": None}, 12345, True, [1, 2], {"deep": [{"b": "]"}]}, {}]
    for text in (json.dumps(values, ensure_ascii=False), "\n".join(json.dumps(v, indent=1) for v in values)):
        found = list(read_values(io.BufferedReader(Slowly(text.encode(), step))))
        assert [json.loads(line.raw) for line in found] == values
        assert [line.number for line in found] == list(range(1, len(values) + 1))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'[{"a":1}, {"a":', "after document 1: Expecting value"),
        (b'[{"a":1}, {"a" 1}, {"b":2}' + b" " * 5_000_000, "after document 1: Expecting ':'"),
        (b'[{"a":1} {"a":2}]', r"after document 1: expected , or \]"),
        (b'[{"a":1}] x', "after document 1: more after the array's end"),
        (b'[{"a":1}', r"after document 1: expected , or \]"),
        (b'[{"a":1},{"b":"\xff"}]', "utf-8"),
        (b'[{"a":"' + b"x" * 3_000_000 + b'"}]', "expected at most 1000 bytes"),
        (b"[" + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_broken_values_say_where(data: bytes, message: str) -> None:
    def read() -> Iterator[Line]:
        return read_values(io.BufferedReader(Slowly(data, 50_000)), max_bytes=1000)

    with pytest.raises(InputError, match=f"the input breaks off.*{message}"):
        list(read())


def test_a_value_above_the_limit_is_cut_and_the_rest_goes_on() -> None:
    stream = io.BufferedReader(io.BytesIO(b'[{"a":"xxxxxxxx"},{}]'))
    assert list(read_values(stream, max_bytes=5)) == [Line(1, b'{"a":', whole=False), Line(2, b"{}")]

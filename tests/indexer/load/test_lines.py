"""Lines of files as they come: gzip, marks, ends, limits, and files that break off."""

import gzip
import io

import pytest

from indexer.errors import InputError
from indexer.load.lines import Line, read_lines


def lines_of(data: bytes, **options: int) -> list[Line]:
    return list(read_lines(io.BufferedReader(io.BytesIO(data)), **options))


@pytest.mark.parametrize("compress", [False, True])
def test_lines_have_numbers_and_no_ends(compress: bool) -> None:
    data = b'\xef\xbb\xbf{"a":1}\r\n\n  \n{"b":2}\n{"c":3}'
    expected = [Line(1, b'{"a":1}'), Line(4, b'{"b":2}'), Line(5, b'{"c":3}')]
    assert lines_of(gzip.compress(data) if compress else data) == expected


def test_an_empty_input_has_no_lines() -> None:
    assert lines_of(b"") == []
    assert lines_of(gzip.compress(b"")) == []


def test_two_gzip_members_are_one_input() -> None:
    assert [line.raw for line in lines_of(gzip.compress(b"1\n") + gzip.compress(b"2\n"))] == [b"1", b"2"]


def test_a_line_above_the_limit_is_cut_and_the_rest_goes_on() -> None:
    lines = lines_of(b"12345\n" + b"x" * 3_000_000 + b"\n1234\n", max_bytes=5)
    assert lines == [Line(1, b"12345"), Line(2, b"xxxxx", whole=False), Line(3, b"1234")]


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_damaged_gzip_keeps_what_was_read_before(damage: str) -> None:
    data = bytearray(gzip.compress(b"".join(b"%d\n" % (i * i * i) for i in range(100_000))))
    if damage == "cut":
        del data[len(data) // 2 :]
    else:
        data[len(data) // 2] ^= 0xFF
    seen: list[Line] = []
    with pytest.raises(InputError, match="breaks off after line"):
        seen.extend(read_lines(io.BufferedReader(io.BytesIO(bytes(data)))))
    assert len(seen) > 100

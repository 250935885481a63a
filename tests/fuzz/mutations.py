"""Inputs made from others: bytes flipped, cut, doubled, spliced, words of the formats put in, JSON grown."""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

WORDS = (
    b"{", b"}", b"[", b"]", b'"', b",", b":", b"\n", b"\\", b"\\u0000", b"\\ud800", b"\xff", b"\xc3",
    b"null", b"true", b"-1", b"0", b"1e999", b"NaN", b"9" * 40, b"9" * 5000, b"1.10", b'""', b"{}",
    b"[]", b"[[[[[[[[", b'{"a":' * 40, b"*", b"**", b"?", b".", b"..", b",-", b"%00", b"%ff", b"%2f", b"&",
    b";", b"=", b"+", b"~1", b"(", b")", b"AND", b"NOT ", b"||", b'"_source"', b'"fields"', b'"rerank"',
    b'"vector"', b'"rerank.vector"', b'"_index"', b'"_id"', b'"_score"', b'"query"', b'"match"', b'"bool"',
    b'"ext"', b'"size"', b'"from"', b'"sort"', b'"index"', b'"update"', b'"doc"', b"\x01\x01", b"\x00" * 8,
)  # fmt: skip
"""Marks and words of the formats that are read, and values that parsers trip over."""

KEYS = (
    "_source",
    "fields",
    "rerank",
    "vector",
    "rerank.vector",
    "a",
    "",
    "_index",
    "é",
    'x"',
    "query",
    "match",
)
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 10**30, "", "QQ==", "text", "\u0000", "\U0001f600", 'quo"te', "_source", [], {},
)  # fmt: skip

MAX_BYTES = 20_000


def mutated(seeds: Sequence[bytes], random: Random) -> bytes:
    """Return one of the seeds, changed in one to six places."""
    data = random.choice(seeds)
    for _ in range(random.randint(1, 6)):
        data = random.choice(_STEPS)(data, seeds, random)
    return data[:MAX_BYTES]


def json_value(random: Random, depth: int = 3) -> Any:  # noqa: ANN401  # any JSON
    """Return a small JSON value, with names that mean something to us among its keys."""
    kind = random.random()
    if depth == 0 or kind < 0.5:
        return random.choice(VALUES)
    if kind < 0.65:
        return [json_value(random, depth - 1) for _ in range(random.randint(0, 3))]
    return {random.choice(KEYS): json_value(random, depth - 1) for _ in range(random.randint(0, 4))}


def spelled(value: Any, random: Random) -> bytes:  # noqa: ANN401  # any JSON
    """Write a JSON value in one of the ways in which it can be written."""
    indent = random.choice((None, None, None, 2))
    text = json.dumps(value, ensure_ascii=random.random() < 0.5, indent=indent)
    return text.encode()


def _flip(data: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    if not data:
        return data
    changed, place = bytearray(data), random.randrange(len(data))
    changed[place] = random.choice((changed[place] ^ (1 << random.randrange(8)), random.randrange(256)))
    return bytes(changed)


def _cut(data: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    start = random.randint(0, len(data))
    return data[:start] + data[start + random.randint(0, 1 + len(data) // 4) :]


def _double(data: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    start = random.randint(0, len(data))
    end = start + random.randint(0, 1 + len(data) // 4)
    return data[:end] + data[start:end] * random.choice((1, 1, 1, 30)) + data[end:]


def _put(data: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    place = random.randint(0, len(data))
    return data[:place] + random.choice(WORDS) + data[place:]


def _replace(data: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    """Put another value where one stands."""
    marks = [place for place, byte in enumerate(data) if byte in b":,["]
    if not marks:
        return _put(data, seeds, random)
    start = random.choice(marks) + 1
    ends = [place for place in range(start, len(data)) if data[place] in b",}]"]
    end = ends[0] if ends else len(data)
    return data[:start] + spelled(json_value(random, 2), random) + data[end:]


def _splice(data: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    other = random.choice(seeds)
    return data[: random.randint(0, len(data))] + other[random.randint(0, len(other)) :]


_STEPS: tuple[Callable[[bytes, Sequence[bytes], Random], bytes], ...] = (
    _flip, _flip, _cut, _double, _put, _put, _replace, _replace, _splice,
)  # fmt: skip

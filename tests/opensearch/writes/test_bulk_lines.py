"""A bulk read line by line: every byte comes out again, whatever was sent, and in whatever blocks it came."""

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensearch.writes import bulk_lines
from opensearch.writes.bulk_lines import read_bulk
from opensearch.writes.operation import Lock, Operation, parse_action

ACTIONS = st.sampled_from([
    b'{"index":{"_id":"1"}}\n', b'{"create":{}}\r\n', b'{"update":{"_id":2,"retry_on_conflict":3}}\n',
    b'{"delete":{"_id":"1"}}\n', b'{"text":"a"}\n', b"\n", b"  \n", b"no json\n", b'{"bogus":{}}\n', b"{}",
])  # fmt: skip


def bytes_of(part: Operation | bytes) -> bytes:
    return part if isinstance(part, bytes) else part.line + (part.source or b"")


def operations_of(parts: Iterable[Operation | bytes]) -> list[Operation]:
    return [part for part in parts if isinstance(part, Operation)]


@given(st.lists(ACTIONS, max_size=8), st.lists(st.integers(0, 150), max_size=4))
def test_every_byte_comes_out_again(lines: list[bytes], cuts: list[int]) -> None:
    body = b"".join(lines)
    places = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    blocks = [body[start:end] for start, end in pairwise(places) if start < end]
    parts = list(read_bulk(blocks, {}))
    assert b"".join(map(bytes_of, parts)) == body
    at_once = read_bulk([body] if body else [], {})
    assert operations_of(parts) == operations_of(at_once)


def test_operations_with_their_parameters() -> None:
    body = (
        b'{"index":{"_id":7,"routing":"r"}}\n{"a":1}\n\n{"delete":{"_index":"other","_id":"x"}}\n'
        b'{"update":{"_id":"y"}}\n{"doc":{}}\n'
    )
    defaults = {"_index": "books", "pipeline": "p", "routing": "url"}
    index, blank, delete, update = read_bulk([body], defaults)
    assert isinstance(index, Operation)
    assert (index.action, index.index, index.id, index.routing, index.pipeline, index.source) == (
        "index", "books", "7", "r", "p", b'{"a":1}\n',
    )  # fmt: skip
    assert blank == b"\n"
    assert isinstance(delete, Operation)
    assert (delete.index, delete.id, delete.source) == ("other", "x", None)
    assert isinstance(update, Operation)
    assert (update.index, update.routing) == ("books", "url")


def test_what_follows_a_line_that_is_not_understood_is_passed_on() -> None:
    body = b'{"index":{}}\n{"a":1}\n/* ours */ {"index":{}}\n{"b":1}\n{"index":{}}\n{"c":1}\n'
    first, *rest = read_bulk([body], {})
    assert isinstance(first, Operation)
    assert all(isinstance(part, bytes) for part in rest)


def test_a_long_line_comes_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_lines, "MAX_LINE_BYTES", 50)
    body = b'{"index":{"_id":"1"}}\n{"a":"' + b"x" * 400 + b'"}\n{"index":{"_id":"2"}}\n{"b":1}\n'
    blocks = [body[start : start + 30] for start in range(0, len(body), 30)]
    parts = list(read_bulk(blocks, {}))
    operations = [part for part in parts if isinstance(part, Operation)]
    assert [(one.id, one.source) for one in operations] == [("1", None), ("2", b'{"b":1}\n')]
    assert b"".join(map(bytes_of, parts)) == body


@pytest.mark.parametrize("line", [
    b"", b"[]", b"{", b"1", b'{"index":[]}', b'{"index":{},"create":{}}', b'{"get":{}}', b"[" * 100_000,
])  # fmt: skip
def test_no_action(line: bytes) -> None:
    assert parse_action(line + b"\n", {}) is None


def test_a_locked_line_has_no_retries() -> None:
    operation = parse_action(b'{"update":{"_id":"1","retry_on_conflict":3,"routing":5}}\n', {"_index": "i"})
    assert operation is not None
    line = json.loads(operation.build_locked_line(Lock(4, 2)))
    assert line == {"update": {"_id": "1", "routing": "5", "if_seq_no": 4, "if_primary_term": 2}}


@pytest.mark.parametrize(("line", "expected"), [
    (b'{"update":{"_id":"1"}}', {"update": {"_id": "1", "retry_on_conflict": 3}}),
    (b'{"update":{"_id":"1","retry_on_conflict":0}}', None),
    (b'{"update":{"_id":"1","if_seq_no":4,"if_primary_term":1}}', None),
    (b'{"update":{"_id":"1","version":4}}', None),
    (b'{"index":{"_id":"1"}}', None),
])  # fmt: skip
def test_retries_are_added_unless_the_client_sets_a_rule(
    line: bytes, expected: dict[str, Any] | None
) -> None:
    operation = parse_action(line, {"_index": "i"})
    assert operation is not None
    built = operation.build_retried_line(3)
    assert built == line if expected is None else json.loads(built) == expected


@pytest.mark.parametrize(("parameters", "lock"), [
    ({}, None),
    ({"if_seq_no": "3", "if_primary_term": 1}, Lock(3, 1)),
    ({"if_seq_no": "x", "if_primary_term": 1}, Lock(-1, -1)),
    ({"if_seq_no": 3}, Lock(-1, -1)),
])  # fmt: skip
def test_the_clients_own_lock(parameters: dict[str, object], lock: Lock | None) -> None:
    assert Operation("index", parameters).lock == lock

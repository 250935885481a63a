"""A request that comes in pieces: whole, long, or still on its way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.server.buffered_request import MAX_HELD_BYTES, BufferedRequest

WHOLE = [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /_search HTTP/1.1\r\ncontent-LENGTH:  4\r\n\r\n{  }",
    b"POST /_bulk HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{ }\r\n0\r\n\r\n",
    b"POST /_bulk HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
]


@given(st.sampled_from(WHOLE[:2]), st.data())
def test_it_is_whole_at_its_last_byte_and_not_before(request_: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(request_) - 1), max_size=5)))
    waiting = BufferedRequest()
    for start, end in zip([0, *cuts], [*cuts, len(request_)], strict=True):
        assert not waiting.is_whole
        waiting.add(request_[start:end])
    assert (waiting.is_whole, waiting.is_long, waiting.received) == (True, False, request_)


@pytest.mark.parametrize("request_", WHOLE)
def test_what_comes_at_once_is_whole(request_: bytes) -> None:
    assert BufferedRequest(request_).is_whole


@pytest.mark.parametrize("head", [
    b"POST /_bulk HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{ ",
    b"POST /_bulk HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    b"POST /_bulk HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % MAX_HELD_BYTES,
])  # fmt: skip
def test_what_cannot_be_held_is_long(head: bytes) -> None:
    waiting = BufferedRequest(head)
    assert (waiting.is_whole, waiting.is_long) == (False, True)


@pytest.mark.parametrize(("head", "is_line"), [
    (b"GET /?" + b"x" * 100, True),
    (b"GET /?" + b"x" * 100 + b" HTTP/1.1\r\n\r\n", True),
    (b"GET / HTTP/1.1\r\nHost: " + b"x" * 100, False),
    (b"GET / HTTP/1.1\r\nHost: " + b"x" * 100 + b"\r\n\r\n", False),
])  # fmt: skip
@pytest.mark.parametrize("step", [1, 1000])
def test_a_head_over_the_limit_is_not_waited_for(head: bytes, is_line: bool, step: int) -> None:
    waiting = BufferedRequest(max_head_bytes=100)
    for start in range(0, len(head), step):
        waiting.add(head[start : start + step])
    assert (waiting.is_whole, waiting.is_long, waiting.is_too_long) == (False, False, True)
    assert waiting.is_line_too_long is is_line


def test_a_head_up_to_the_limit_is_held_though_it_is_longer_than_what_else_is_held() -> None:
    head = b"GET / HTTP/1.1\r\nA: " + b"x" * (2 * MAX_HELD_BYTES)
    waiting = BufferedRequest(head, max_head_bytes=4 * MAX_HELD_BYTES)
    assert (waiting.is_whole, waiting.is_long, waiting.is_too_long) == (False, False, False)
    waiting.add(b"\r\n\r\n")
    assert waiting.is_whole


@given(st.binary(max_size=200))
def test_any_bytes_are_taken(received: bytes) -> None:
    waiting = BufferedRequest(received)
    assert waiting.received.startswith(received)
    assert not (waiting.is_whole and waiting.is_long)


def test_what_no_parser_takes_is_not_waited_for() -> None:
    two_lengths = b"POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 40\r\n\r\n{}"
    assert BufferedRequest(two_lengths).is_whole
    assert BufferedRequest(b"GET / HTTP/1.1\nHost: a\n\n").is_whole


def test_the_next_request_behind_it_is_kept() -> None:
    both = WHOLE[0] + WHOLE[1][:20]
    waiting = BufferedRequest(both)
    assert (waiting.is_whole, waiting.received) == (True, both)

"""Half a character in JSON is swapped for something readable, and back."""

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from opensearch.rawjson.surrogates import swap_surrogates

TEXTS = st.text(st.characters(exclude_categories=())).map(json.dumps)
"""JSON strings with escapes of every kind, pairs and lone halves."""


@given(st.lists(TEXTS))
def test_swapped_and_back_is_the_same_text(texts: list[str]) -> None:
    text = f"[{','.join(texts)}]".encode()
    halves = swap_surrogates(text)
    if halves is None:
        msgspec.json.decode(text)  # there was none: it can be read
    else:
        assert len(halves.text) == len(text)
        msgspec.json.decode(halves.text)
        assert halves.restore(halves.text) == text


def test_a_pair_and_an_escaped_backslash_are_no_halves() -> None:
    assert swap_surrogates(rb'["\ud83d\ude00", "\\ud800", "\\\\udc00"]') is None


def test_escapes_that_the_text_uses_itself_are_not_taken() -> None:
    text = rb'["\uE000", "\ud800", "\udc00x", "\ue001"]'
    halves = swap_surrogates(text)
    assert halves is not None
    assert halves.restore(halves.text) == text
    assert len(set(msgspec.json.decode(halves.text))) == 4

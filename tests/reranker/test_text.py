"""The hash that recognises an unchanged text, and texts that no tokeniser takes."""

import dataclasses

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from reranker.text import Chunking, replace_surrogates, text_hash

any_text = st.text(st.characters(exclude_categories=()))  # lone surrogates included


def test_the_hash_is_xxh3_of_settings_and_text() -> None:
    """Frozen: a change here would make every stored vector stale."""
    assert text_hash("How to wait a bit", Chunking()) == 0x9998A03EDCDFAA5C
    assert text_hash("é", Chunking(128, 16, 2)) == xxhash.xxh3_64_intdigest(b"128/16/2\0\xc3\xa9")


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Chunking)])
def test_each_chunk_setting_changes_the_hash(field: str) -> None:
    other = dataclasses.replace(Chunking(), **{field: 7})
    assert text_hash("text", other) != text_hash("text", Chunking())


def test_settings_and_text_are_kept_apart() -> None:
    assert text_hash("4", Chunking(1, 2, 3)) != text_hash("", Chunking(1, 2, 34))


@given(any_text, any_text)
def test_only_equal_texts_share_a_hash(one: str, other: str) -> None:
    same = text_hash(one, Chunking()) == text_hash(other, Chunking())
    assert same == (one == other)
    assert 0 <= text_hash(one, Chunking()) < 2**64


@given(any_text)
def test_encodable_text_is_utf8_of_the_same_length(text: str) -> None:
    readable = replace_surrogates(text)
    readable.encode()
    assert len(readable) == len(text)


def test_only_lone_surrogates_are_replaced() -> None:
    assert replace_surrogates("a\ud83db \N{GRINNING FACE} é\udfff") == "a?b \N{GRINNING FACE} é?"

"""Tri-letters: words, trigrams, ids, chunks, and tables that are none."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reranker.errors import BundleError
from reranker.text import Chunking
from reranker.tri_letters import (
    FIRST_TRIGRAM,
    MAX_TRIGRAMS,
    START,
    UNKNOWN,
    TriLetters,
    split_trigrams,
    split_words,
)

LIMIT = 12
BUCKETS = 97


@pytest.fixture(scope="module")
def hashed(tmp_path_factory: pytest.TempPathFactory) -> TriLetters:
    return _tokeniser(tmp_path_factory.mktemp("hashed"), buckets=BUCKETS)


def _tokeniser(folder: Path, **table: object) -> TriLetters:
    file = folder / "tri_letters.json"
    file.write_text(json.dumps({"type": "tri_letters", **table}))
    return TriLetters(file, max_tokens=LIMIT)


def test_a_word_is_its_trigrams_between_marks() -> None:
    assert split_trigrams("hello") == ["#he", "hel", "ell", "llo", "lo#"]
    assert split_trigrams("a") == ["#a#"]
    assert len(split_trigrams("x" * 100)) == MAX_TRIGRAMS


def test_words_are_lower_case_without_accents_and_punctuation_stands_alone() -> None:
    assert split_words("Café, KÖLN! 電車") == ["cafe", ",", "koln", "!", "電", "車"]


def test_a_vocabulary_gives_each_trigram_its_row(tmp_path: Path) -> None:
    tokens = _tokeniser(tmp_path, vocabulary=["#ab", "ab#"])
    assert tokens.query("ab abc") == [
        [START],
        [FIRST_TRIGRAM, FIRST_TRIGRAM + 1],
        [FIRST_TRIGRAM, UNKNOWN, UNKNOWN],
    ]


def test_an_empty_text_is_its_start(hashed: TriLetters) -> None:
    assert hashed.query("") == [[START]] == hashed.chunks(" \n", Chunking())[0]


@settings(deadline=None)
@given(text=st.text())
def test_ids_lie_in_the_table_and_texts_within_the_limit(hashed: TriLetters, text: str) -> None:
    tokens = hashed.query(text)
    assert 1 <= len(tokens) <= LIMIT
    assert all(1 <= len(token) <= MAX_TRIGRAMS for token in tokens)
    assert all(FIRST_TRIGRAM <= i < FIRST_TRIGRAM + BUCKETS for token in tokens[1:] for i in token)


@settings(deadline=None)
@given(
    count=st.integers(0, 60),
    chunking=st.builds(Chunking, st.integers(1, 20), st.integers(0, 20), st.integers(1, 5)),
)
def test_chunks_hold_the_text_in_order_with_their_overlap(
    hashed: TriLetters, count: int, chunking: Chunking
) -> None:
    whole = [f"w{i}" for i in range(count)]
    room = max(1, min(chunking.max_tokens, LIMIT) - 1)
    overlap = min(chunking.overlap, room // 2)
    chunks = hashed.chunks(" ".join(whole), chunking)
    assert 1 <= len(chunks) <= chunking.max_chunks
    assert all(chunk[0] == [START] and len(chunk) <= room + 1 for chunk in chunks)
    rebuilt = chunks[0][1:]
    for before, chunk in pairwise(chunks):
        assert before[len(before) - overlap :] == chunk[1 : 1 + overlap]
        assert len(chunk) > 1 + overlap, "a chunk of nothing new"
        rebuilt += chunk[1 + overlap :]
    kept = whole[: len(rebuilt)]
    assert rebuilt == [hashed.query(word)[1] for word in kept]
    assert len(kept) == count or len(chunks) == chunking.max_chunks


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        '{"type": "tri_letters"}',
        '{"type": "tri_letters", "buckets": 5, "vocabulary": ["a"]}',
        '{"type": "tri_letters", "buckets": -1}',
        '{"type": "tri_letters", "bucket": 9}',
        "no json",
        "\ud800",
    ],
)
def test_another_table_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "t.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(BundleError, match=r"expected tri-letters in .*t\.json, found"):
        TriLetters(tmp_path / "t.json", max_tokens=9)


def test_no_table_and_no_room_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="No such file"):
        TriLetters(tmp_path / "none.json", max_tokens=9)
    (tmp_path / "t.json").write_text('{"type": "tri_letters", "buckets": 5}')
    with pytest.raises(BundleError, match="expected a limit of at least 2 tokens, found 1"):
        TriLetters(tmp_path / "t.json", max_tokens=1)

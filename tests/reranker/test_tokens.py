"""Token ids from the tiny bundle's real tokeniser: limits, overlap, chunks, and texts that hurt."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from reranker.errors import BundleError, EncodingError
from reranker.text import Chunking
from reranker.tokens import MAX_CHARS_PER_TOKEN, Tokens
from tests.support.paths import TINY_BUNDLE

FILE = TINY_BUNDLE / "tokenizer.json"
LIMIT = 20
TOKENS = Tokens(FILE, max_tokens=LIMIT)
MEGABYTE = "wait a bit or read the file. " * 36_158


def plain_ids(text: str) -> list[int]:
    """Return the ids of a text as the tokeniser's library gives them, uncut, without special tokens."""
    tokenizer = Tokenizer.from_file(str(FILE))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def inner(ids: list[int]) -> list[int]:
    """Return the ids between the first and the last, which are special."""
    return ids[1:-1]


def test_a_short_text_is_itself_between_special_tokens_without_padding() -> None:
    assert inner(TOKENS.query("wait")) == plain_ids("wait")
    assert TOKENS.chunks("wait", Chunking()) == [TOKENS.query("wait")]


def test_an_empty_text_is_its_special_tokens() -> None:
    assert len(TOKENS.query("")) == 2
    assert TOKENS.chunks("", Chunking()) == [TOKENS.query("")]
    assert TOKENS.query(" \n\t ") == TOKENS.query("")


@given(st.text())
def test_a_query_never_exceeds_the_limit(text: str) -> None:
    ids = TOKENS.query(text)
    assert 2 <= len(ids) <= LIMIT
    assert inner(ids) == plain_ids(text[: LIMIT * MAX_CHARS_PER_TOKEN])[: LIMIT - 2]


@given(
    st.text(alphabet="ab ,.é世\N{GRINNING FACE}", max_size=400),
    st.builds(Chunking, st.integers(1, 40), st.integers(0, 40), st.integers(1, 5)),
)
def test_chunks_keep_their_limits_and_together_hold_the_text(text: str, chunking: Chunking) -> None:
    chunks = TOKENS.chunks(text, chunking)
    room = max(1, min(chunking.max_tokens, LIMIT) - 2)
    overlap = min(chunking.overlap, room // 2)
    assert 1 <= len(chunks) <= chunking.max_chunks
    assert all(2 <= len(chunk) <= room + 2 for chunk in chunks)
    joined = inner(chunks[0])
    for chunk in chunks[1:]:
        repeated, new = inner(chunk)[:overlap], inner(chunk)[overlap:]
        assert repeated == joined[len(joined) - overlap :]
        assert new
        joined += new
    seen = text[: min(chunking.max_tokens, LIMIT) * chunking.max_chunks * MAX_CHARS_PER_TOKEN]
    whole = plain_ids(seen)
    assert joined == whole[: len(joined)]
    assert len(chunks) == chunking.max_chunks or joined == whole


def test_a_prefix_comes_first_and_counts() -> None:
    prefixed = Tokens(FILE, max_tokens=LIMIT, prefix="read: ")
    assert inner(prefixed.query("wait")) == plain_ids("read: wait")
    assert len(prefixed.query("wait " * 100)) == LIMIT
    assert inner(prefixed.chunks("wait", Chunking())[0]) == plain_ids("read: wait")


@given(
    st.text(alphabet="ab ,.é世\N{GRINNING FACE}", max_size=200),
    st.builds(Chunking, st.integers(1, 40), st.integers(0, 40), st.integers(1, 50)),
)
def test_every_chunk_begins_with_the_prefix(text: str, chunking: Chunking) -> None:
    prefixed, prefix = Tokens(FILE, max_tokens=LIMIT, prefix="read: "), plain_ids("read: ")
    chunks = prefixed.chunks(text, chunking)
    assert all(inner(chunk)[: len(prefix)] == prefix and len(chunk) <= LIMIT for chunk in chunks)
    bare = Tokens(FILE, max_tokens=LIMIT - len(prefix)).chunks(
        text, Chunking(max(3, chunking.max_tokens - len(prefix)), chunking.overlap, chunking.max_chunks)
    )
    assert [inner(chunk)[len(prefix) :] for chunk in chunks] == [inner(chunk) for chunk in bare]


def test_a_prefix_leaves_space_for_text() -> None:
    with pytest.raises(BundleError, match=r"leaves space in 4 tokens, found 'read: ' of 4 tokens"):
        Tokens(FILE, max_tokens=4, prefix="read: ")
    assert Tokens(FILE, max_tokens=5, prefix="read: ").chunks("wait wait", Chunking())[1:] != []


def test_a_megabyte_costs_no_more_than_what_can_be_used() -> None:
    """Counted in characters and tokens, not by the clock: the rest of the text changes nothing."""
    assert len(MEGABYTE) > 1_000_000
    chunking = Chunking(max_tokens=16, overlap=4, max_chunks=3)
    chunks = TOKENS.chunks(MEGABYTE, chunking)
    assert chunks == TOKENS.chunks(MEGABYTE[: 16 * 3 * MAX_CHARS_PER_TOKEN], chunking)
    assert [len(chunk) for chunk in chunks] == [16, 16, 16]
    assert TOKENS.query(MEGABYTE) == TOKENS.query(MEGABYTE[: LIMIT * MAX_CHARS_PER_TOKEN])


def test_a_megabyte_without_a_space_is_one_bounded_text() -> None:
    assert len(TOKENS.query("x" * 1_000_000)) <= LIMIT
    assert len(TOKENS.chunks("x" * 1_000_000, Chunking())) <= Chunking().max_chunks


@pytest.mark.parametrize("text", ["\ud83d", "wait \udfff a bit", "\udc80" * 50])
def test_lone_surrogates_become_question_marks(text: str) -> None:
    readable = text.encode("utf-8", "replace").decode()
    assert TOKENS.query(text) == TOKENS.query(readable)
    assert TOKENS.chunks(text, Chunking()) == TOKENS.chunks(readable, Chunking())


@pytest.mark.parametrize(
    "text", ["\N{GRINNING FACE}", "\N{PILE OF POO}\u200d\ufe0f wait", "\x00wait\x7f", "世界"]
)
def test_unusual_characters_are_taken(text: str) -> None:
    assert inner(TOKENS.query(text)) == plain_ids(text)


def test_a_file_that_pads_and_truncates_by_itself_is_overruled(tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_file(str(FILE))
    tokenizer.enable_padding(length=50)
    tokenizer.enable_truncation(5)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    other = Tokens(tmp_path / "tokenizer.json", max_tokens=LIMIT)
    assert other.query("wait " * 3) == TOKENS.query("wait " * 3)
    assert other.query("wait " * 99) == TOKENS.query("wait " * 99)
    assert other.chunks("wait " * 99, Chunking()) == TOKENS.chunks("wait " * 99, Chunking())


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"garbage", b"\xff\xfe\x00", b'{"model": {"type": "Magic"}}']
)
def test_a_file_that_is_no_tokeniser_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_bytes(content)
    with pytest.raises(BundleError, match=r"expected a tokeniser in .*tokenizer\.json, found: .*export"):
        Tokens(file, max_tokens=LIMIT)


def test_a_tokeniser_without_special_tokens_is_refused(tmp_path: Path) -> None:
    """An empty text would have no token, and no encoder takes that."""
    bare = json.loads(FILE.read_text(encoding="utf-8")) | {"post_processor": None}
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(bare), encoding="utf-8")
    with pytest.raises(BundleError, match=r"expected 1 to 19 special tokens.*found 0"):
        Tokens(file, max_tokens=LIMIT)


@pytest.mark.parametrize("max_tokens", [1, 2])
def test_a_limit_without_room_for_text_is_refused(max_tokens: int) -> None:
    with pytest.raises(BundleError, match=rf"expected 1 to {max_tokens - 1} special tokens.*found 2"):
        Tokens(FILE, max_tokens=max_tokens)


def test_a_text_that_the_tokeniser_fails_on_is_an_encoding_error(tmp_path: Path) -> None:
    """A word model whose unknown token is not in its vocabulary fails only when it meets an unknown word."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    content["model"] = {
        "type": "WordLevel",
        "vocab": {"wait": 0, "[CLS]": 2, "[SEP]": 3},
        "unk_token": "[GONE]",
    }
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    tokens = Tokens(file, max_tokens=LIMIT)
    assert inner(tokens.query("wait")) == [0]
    for encode in (tokens.query, lambda text: tokens.chunks(text, Chunking())):
        with pytest.raises(EncodingError, match=r"expected token ids for a text, found: .*export"):
            encode("unheard")

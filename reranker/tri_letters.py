"""Texts to tri-letters: each word is the set of its letter trigrams (TwinBERT, section 3.1).

`#hello#` gives `#he hel ell llo lo#`; a model adds their embeddings up to one token. Unlike word pieces it
needs no learned vocabulary, knows every word's parts, and a misspelt word keeps most of them.
"""

from pathlib import Path
from typing import Annotated

import msgspec
import xxhash
from msgspec import Meta
from tokenizers import normalizers, pre_tokenizers

from reranker.errors import EXPORT_AGAIN, BundleError
from reranker.text import Chunking, replace_surrogates
from reranker.tokens import MAX_CHARS_PER_TOKEN

MAX_TRIGRAMS = 20
"""A longer word is known by this many first trigrams, as in the paper."""

PADDING, START, UNKNOWN = 0, 1, 2
"""Rows of the embedding table: nothing (its embedding is 0), the token before every text, a trigram that
the vocabulary lacks."""
FIRST_TRIGRAM = 3

# The same cleaning and the same words as BERT's word pieces begin with.
_CLEANED = normalizers.BertNormalizer(lowercase=True, strip_accents=True, handle_chinese_chars=True)
_WORDS = pre_tokenizers.BertPreTokenizer()


class TriLetterTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="tri_letters"):
    """The content of the tokeniser's file: a vocabulary of trigrams, or a number of buckets to hash into."""

    vocabulary: tuple[str, ...] = ()
    buckets: Annotated[int, Meta(ge=0, le=2**24)] = 0

    def __post_init__(self) -> None:
        """Hold that one of the two is given.

        Raises:
            ValueError: both or neither are.
        """
        if bool(self.vocabulary) == bool(self.buckets):
            raise ValueError("expected either a vocabulary or a number of buckets")

    @property
    def num_rows(self) -> int:
        """The rows of the embedding table that the ids point into."""
        return FIRST_TRIGRAM + (self.buckets or len(self.vocabulary))


_TABLE = msgspec.json.Decoder(TriLetterTable)


def split_words(text: str) -> list[str]:
    """Return the words and punctuation marks of a text, lower case, without accents."""
    cleaned = _CLEANED.normalize_str(replace_surrogates(text))
    return [word for word, _ in _WORDS.pre_tokenize_str(cleaned)]


def split_trigrams(word: str) -> list[str]:
    """Return the first MAX_TRIGRAMS letter trigrams of `#word#`."""
    marked = f"#{word}#"
    return [marked[i : i + 3] for i in range(min(len(word), MAX_TRIGRAMS))]


class TriLetters:
    """Cuts texts into words and words into trigram ids; a text begins with the token START.

    A token is a list of 1 to MAX_TRIGRAMS ids; a text is a list of tokens, without padding.

    Raises:
        BundleError: `file` is no table of tri-letters, or `max_tokens` leaves no room for text.
    """

    def __init__(self, file: Path, *, max_tokens: int, prefix: str = "") -> None:
        try:
            table = _TABLE.decode(file.read_bytes())
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BundleError(f"expected tri-letters in {file}, found: {error}. {EXPORT_AGAIN}") from error
        if max_tokens < 2:
            raise BundleError(
                f"{file}: expected a limit of at least 2 tokens, found {max_tokens}. {EXPORT_AGAIN}"
            )
        self._buckets = table.buckets
        self._ids = {trigram: FIRST_TRIGRAM + i for i, trigram in enumerate(table.vocabulary)}
        self._max_tokens = max_tokens
        self._prefix = prefix

    def query(self, text: str) -> list[list[int]]:
        """Return the tokens of one text with its prefix, cut at the encoder's limit."""
        found = split_words(self._prefix + text[: self._max_tokens * MAX_CHARS_PER_TOKEN])
        return self._tokens(found[: self._max_tokens - 1])

    def chunks(self, text: str, chunking: Chunking) -> list[list[list[int]]]:
        """Return the tokens of each chunk of one text, at least one and at most `chunking.max_chunks`."""
        limit = min(chunking.max_tokens, self._max_tokens)
        found = split_words(self._prefix + text[: limit * chunking.max_chunks * MAX_CHARS_PER_TOKEN])
        room = max(1, limit - 1)
        step = room - min(chunking.overlap, room // 2)
        last = max(1, len(found) - room + step)  # a chunk that would only repeat the overlap is none
        starts = range(0, last, step)
        return [self._tokens(found[start : start + room]) for start in starts][: chunking.max_chunks]

    def _tokens(self, found: list[str]) -> list[list[int]]:
        return [[START], *([self._find_id(trigram) for trigram in split_trigrams(word)] for word in found)]

    def _find_id(self, trigram: str) -> int:
        if self._buckets:
            return FIRST_TRIGRAM + xxhash.xxh3_64_intdigest(trigram.encode()) % self._buckets
        return self._ids.get(trigram, UNKNOWN)

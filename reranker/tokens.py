"""Texts to token ids: one tokeniser for queries, documents, export and tests."""

from pathlib import Path

from tokenizers import Encoding, Tokenizer

from reranker.errors import EXPORT_AGAIN, BundleError, EncodingError
from reranker.text import Chunking, replace_surrogates

MAX_CHARS_PER_TOKEN = 16
"""No more text than this times the tokens that fit is read: a megabyte costs the same as a page."""


class Tokens:
    """Cuts texts into the token ids that an encoder takes, special tokens included, without padding.

    Raises:
        BundleError: `file` is not a tokeniser, or one that adds no special tokens: an empty text would have
            no token. Or `max_tokens` leaves no space beside them.
    """

    def __init__(self, file: Path, *, max_tokens: int, prefix: str = "") -> None:
        try:
            self._whole = Tokenizer.from_file(str(file))
            self._whole.no_padding()
            self._num_special = len(self._whole.encode("").ids)
        except Exception as error:  # the library raises nothing finer
            raise BundleError(f"expected a tokeniser in {file}, found: {error}. {EXPORT_AGAIN}") from error
        if not 0 < self._num_special < max_tokens:
            raise BundleError(
                f"{file}: expected 1 to {max_tokens - 1} special tokens, so that a limit of {max_tokens}"
                f" tokens leaves room for text, found {self._num_special}. {EXPORT_AGAIN}"
            )
        self._whole.enable_truncation(max_tokens)
        self._file = file
        self._prefix = prefix
        self._max_tokens = max_tokens
        self._cutters: dict[Chunking, Tokenizer] = {}

    def query(self, text: str) -> list[int]:
        """Return the ids of one text with its prefix, cut at the encoder's limit.

        Raises:
            EncodingError: the tokeniser fails on the text.
        """
        readable = replace_surrogates(text[: self._max_tokens * MAX_CHARS_PER_TOKEN])
        ids: list[int] = _encode(self._whole, self._prefix + readable).ids
        return ids

    def chunks(self, text: str, chunking: Chunking) -> list[list[int]]:
        """Return the ids of each chunk of one text, at least one and at most `chunking.max_chunks`.

        Raises:
            EncodingError: the tokeniser fails on the text.
        """
        limit = min(chunking.max_tokens, self._max_tokens)
        readable = replace_surrogates(text[: limit * chunking.max_chunks * MAX_CHARS_PER_TOKEN])
        first = _encode(self._cutter(chunking, limit), self._prefix + readable)
        return [chunk.ids for chunk in (first, *first.overflowing)][: chunking.max_chunks]

    def _cutter(self, chunking: Chunking, limit: int) -> Tokenizer:
        if chunking not in self._cutters:
            cutter = Tokenizer.from_file(str(self._file))
            cutter.no_padding()
            room = max(1, limit - self._num_special)  # a stride of the whole room makes the library panic
            cutter.enable_truncation(room + self._num_special, stride=min(chunking.overlap, room // 2))
            self._cutters[chunking] = cutter
        return self._cutters[chunking]


def _encode(tokenizer: Tokenizer, text: str) -> Encoding:
    try:
        return tokenizer.encode(text)
    except Exception as error:  # the library raises nothing finer
        raise EncodingError(f"expected token ids for a text, found: {error}. {EXPORT_AGAIN}") from error

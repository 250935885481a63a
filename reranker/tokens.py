"""Texts to token ids: one tokeniser for queries, documents, export and tests."""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from reranker.errors import BundleError
from reranker.text import Chunking, encodable

MAX_CHARS_PER_TOKEN = 16
"""No more text than this times the tokens that fit is looked at: a megabyte costs what a page costs."""


class Tokens:
    """Cuts texts into the token ids that an encoder takes, special tokens included, without padding.

    Raises:
        BundleError: `file` is not a tokeniser.
    """

    def __init__(self, file: Path, *, max_tokens: int, prefix: str = "") -> None:
        try:
            self._whole = Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises nothing finer
            raise BundleError(f"expected a tokeniser in {file}, found: {error}") from error
        self._whole.no_padding()
        self._whole.enable_truncation(max_tokens)
        self._file = file
        self._prefix = prefix
        self._max_tokens = max_tokens
        self._cutters: dict[Chunking, Tokenizer] = {}

    def query(self, text: str) -> list[int]:
        """Return the ids of one text with its prefix, cut at the encoder's limit."""
        readable = encodable(text[: self._max_tokens * MAX_CHARS_PER_TOKEN])
        ids: list[int] = self._whole.encode(self._prefix + readable).ids
        return ids

    def chunks(self, text: str, chunking: Chunking) -> list[list[int]]:
        """Return the ids of each chunk of one text, at least one and at most `chunking.max_chunks`."""
        limit = min(chunking.max_tokens, self._max_tokens)
        readable = encodable(text[: limit * chunking.max_chunks * MAX_CHARS_PER_TOKEN])
        first = self._cutter(chunking, limit).encode(self._prefix + readable)
        rest: Sequence[list[int]] = [chunk.ids for chunk in first.overflowing]
        return [first.ids, *rest][: chunking.max_chunks]

    def _cutter(self, chunking: Chunking, limit: int) -> Tokenizer:
        if chunking not in self._cutters:
            cutter = Tokenizer.from_file(str(self._file))
            cutter.no_padding()
            cutter.enable_truncation(limit, stride=min(chunking.overlap, limit // 2))
            self._cutters[chunking] = cutter
        return self._cutters[chunking]

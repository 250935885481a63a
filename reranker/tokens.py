"""Texts to token ids: one tokeniser for queries, documents, export and tests."""

from itertools import takewhile
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
            no token. Or `max_tokens` leaves no space beside them and the prefix.
    """

    def __init__(self, file: Path, *, max_tokens: int, prefix: str = "") -> None:
        try:
            self._whole = Tokenizer.from_file(str(file))
            self._whole.no_padding()
            self._whole.no_truncation()
            self._num_special = len(self._whole.encode("").ids)
        except Exception as error:  # the library raises nothing finer
            raise BundleError(f"expected a tokeniser in {file}, found: {error}. {EXPORT_AGAIN}") from error
        if not 0 < self._num_special < max_tokens:
            raise BundleError(
                f"{file}: expected 1 to {max_tokens - 1} special tokens, so that a limit of {max_tokens}"
                f" tokens leaves room for text, found {self._num_special}. {EXPORT_AGAIN}"
            )
        num_prefix = len(_encode(self._whole, prefix).ids) if prefix else 0
        if num_prefix >= max_tokens:
            raise BundleError(
                f"{file}: expected a prefix that leaves space in {max_tokens} tokens, found {prefix!r} of"
                f" {num_prefix} tokens with the special ones. {EXPORT_AGAIN}"
            )
        self._whole.enable_truncation(max_tokens)
        self._file = file
        self._prefix = prefix
        self._max_tokens = max_tokens
        self._cutters: dict[Chunking, Tokenizer] = {}
        self._prefix_cutter: _PrefixCutter | None = None

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

        Every chunk begins with the prefix.

        Raises:
            EncodingError: the tokeniser fails on the text.
        """
        limit = min(chunking.max_tokens, self._max_tokens)
        readable = replace_surrogates(text[: limit * chunking.max_chunks * MAX_CHARS_PER_TOKEN])
        if self._prefix:
            self._prefix_cutter = self._prefix_cutter or _PrefixCutter(self._file, self._prefix)
            return self._prefix_cutter.cut(readable, chunking, limit, self._max_tokens)
        first = _encode(self._cutter(chunking, limit), readable)
        return [chunk.ids for chunk in (first, *first.overflowing)][: chunking.max_chunks]

    def _cutter(self, chunking: Chunking, limit: int) -> Tokenizer:
        if chunking not in self._cutters:
            cutter = Tokenizer.from_file(str(self._file))
            cutter.no_padding()
            room = max(1, limit - self._num_special)  # a stride of the whole room makes the library panic
            cutter.enable_truncation(room + self._num_special, stride=min(chunking.overlap, room // 2))
            self._cutters[chunking] = cutter
        return self._cutters[chunking]


class _PrefixCutter:
    """Cuts texts into chunks that all begin with a prefix. The library alone puts it into the first."""

    def __init__(self, file: Path, prefix: str) -> None:
        self._tokenizer = Tokenizer.from_file(str(file))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._prefix = prefix
        mask = _encode(self._tokenizer, "x").special_tokens_mask
        self._num_before = len(list(takewhile(bool, mask)))
        self._num_after = len(list(takewhile(bool, reversed(mask))))

    def cut(self, text: str, chunking: Chunking, limit: int, most: int) -> list[list[int]]:
        """Return the ids of each chunk, of `limit` tokens, or of more, up to `most`, if one must fit.

        Raises:
            EncodingError: the tokeniser fails on the text.
        """
        head, body, tail = self._split(text)
        num_others = len(head) + len(tail)
        room = min(max(limit, num_others + 1), most) - num_others
        step = room - min(chunking.overlap, room // 2)
        last = max(0, len(body) - room)
        starts = range(0, last + step, step)[: chunking.max_chunks]
        return [[*head, *body[start : start + room], *tail] for start in starts]

    def _split(self, text: str) -> tuple[list[int], list[int], list[int]]:
        """Return the ids of the special tokens and the prefix, of the text, and of what follows it."""
        encoding = _encode(self._tokenizer, self._prefix + text)
        ids, end = encoding.ids, len(encoding.ids) - self._num_after
        offsets = encoding.offsets[self._num_before : end]
        own = len(list(takewhile(lambda span: span[1] <= len(self._prefix), offsets)))
        start = self._num_before + own
        return ids[:start], ids[start:end], ids[end:]


def _encode(tokenizer: Tokenizer, text: str) -> Encoding:
    try:
        return tokenizer.encode(text)
    except Exception as error:  # the library raises nothing finer
        raise EncodingError(f"expected token ids for a text, found: {error}. {EXPORT_AGAIN}") from error

"""The tokeniser of a cross-encoder: a query and a document as one row of tokens."""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Encoding, Tokenizer

from model_export.errors import TrainingError
from model_export.model.base_tokenizer import TOKENIZER_FILE, check_tokenizer
from reranker.text import replace_surrogates

Pair = tuple[str, str]
"""A query and a document."""

QUERY_CHARS, DOCUMENT_CHARS = 2000, 20_000
"""No more of a text is read: a megabyte costs the same as a page."""

_PADDING = ("[PAD]", "<pad>")


class PairTokens:
    """Cuts pairs into tokens, at most `max_tokens` of both texts together, without padding.

    Args:
        folder: holds `tokenizer.json`; its own truncation and padding are not used.
        max_tokens: the longer text of a pair is cut first.
        rows: how many rows the model's table of tokens has, None if unknown.
        segments: how many rows its table of segments has, 0 if it reads none.

    Raises:
        TrainingError: there is no tokeniser, or it makes no pairs.
        ExportError: it is another model's.
    """

    def __init__(self, folder: Path, *, max_tokens: int, rows: int | None, segments: int = 0) -> None:
        file = folder / TOKENIZER_FILE
        try:
            content = file.read_text(encoding="utf-8")
            self._tokenizer = Tokenizer.from_str(content)
        except Exception as error:  # the library raises nothing narrower
            raise TrainingError(f"expected a tokenizer in {file}, found: {error}") from error
        if rows is not None:
            check_tokenizer(folder, content, rows=rows)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        _check_pairs(file, self._tokenizer, segments)
        self._tokenizer.enable_truncation(max_tokens, strategy="longest_first")
        known = (self._tokenizer.token_to_id(token) for token in _PADDING)
        self.padding: int = next((number for number in known if number is not None), 0)
        """The token that fills a row, which the model does not read."""
        self.largest: int = max(self._tokenizer.get_vocab(with_added_tokens=True).values())
        """The largest token."""

    def encode(self, pairs: Sequence[Pair]) -> list[Encoding]:
        """Return the tokens of each pair."""
        cut = [
            (replace_surrogates(query[:QUERY_CHARS]), replace_surrogates(document[:DOCUMENT_CHARS]))
            for query, document in pairs
        ]
        found: list[Encoding] = self._tokenizer.encode_batch(cut)
        return found


def _check_pairs(file: Path, tokenizer: Tokenizer, segments: int) -> None:
    pair, bare = (tokenizer.encode("a", "b", add_special_tokens=special) for special in (True, False))
    if len(pair.ids) < len(bare.ids) + 3:
        raise TrainingError(
            f"{file}: expected a post_processor that puts special tokens around and between the two texts of"
            f" a pair, found {pair.tokens}"
        )
    if segments > 1 and max(pair.type_ids) == 0:
        raise TrainingError(
            f"{file}: expected a tokenizer that tells a pair's second text by its segment, as the model's"
            f" {segments} segments need, found one segment: the tokenizer is another model's"
        )

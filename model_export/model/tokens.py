"""Texts become a tower's tokens: a tokeniser for each kind of input, and the most tokens of a text."""

from collections.abc import Sequence
from pathlib import Path

from model_export.model.tower import Tower
from reranker.encoder import Ids, Tokeniser
from reranker.tokens import Tokens
from reranker.tri_letters import TriLetters

QUERY_TOKENS = 64
"""The most tokens of a query; longer ones are cut."""


def load_tokeniser(kind: str, file: Path, *, max_tokens: int, prefix: str = "") -> Tokeniser:
    """Load the tokeniser of an input kind, `word_pieces` or `tri_letters`: the same code as in searches."""
    return (TriLetters if kind == "tri_letters" else Tokens)(file, max_tokens=max_tokens, prefix=prefix)


def tokenise(
    tower: Tower, tokenizer: Path, texts: Sequence[str], *, prefix: str, max_tokens: int
) -> list[Ids]:
    """Return the tokens of texts as the tower reads them, at most `max_tokens` each."""
    limit = min(max_tokens, tower.max_tokens)
    tokeniser = load_tokeniser(tower.kind, tokenizer, max_tokens=limit, prefix=prefix)
    return [tokeniser.query(text) for text in texts]

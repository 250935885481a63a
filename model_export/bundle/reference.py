"""Compare a base with what it was read from, before anything is written."""

from dataclasses import replace
from pathlib import Path

from model_export.bundle.texts import ExportTexts
from model_export.errors import ExportError
from model_export.folders.reference import Reference, Side
from model_export.model.base import Base
from model_export.model.reference import encode_in_torch
from model_export.model.tokens import load_tokeniser
from model_export.model.tower import Tower
from reranker.encoder import Ids


def tokenise_texts(
    base: Base, file: Path, query_prefix: str, texts: ExportTexts
) -> tuple[list[Ids], list[Ids]]:
    """Return the tokens of queries and documents as the base reads them; `file` is its tokeniser."""
    kind = base.query.kind
    queries = load_tokeniser(kind, file, max_tokens=base.query_tokens, prefix=query_prefix)
    documents = load_tokeniser(kind, file, max_tokens=base.document_tokens, prefix=base.document_prefix)
    return [queries.query(text) for text in texts.queries], [
        documents.query(text) for text in texts.documents
    ]


def check_reference(base: Base, file: Path, texts: ExportTexts, reference: Reference | None) -> float | None:
    """Compare the base's vectors with the reference's, and return the least cosine.

    Empty texts are left out: a document without text has no vector, and some tokenisers of transformers strip
    the blank at the end of a prompt that nothing follows.

    Raises:
        ExportError: a text's vector is another one: the base was read wrongly.
    """
    if reference is None:
        return None
    texts = replace(
        texts, queries=tuple(filter(None, texts.queries)), documents=tuple(filter(None, texts.documents))
    )
    query_ids, document_ids = tokenise_texts(base, file, base.query_prefix, texts)
    cosines: dict[tuple[Side, str], float] = {}
    sides: tuple[tuple[Side, Tower, list[Ids], tuple[str, ...], int], ...] = (
        ("query", base.query, query_ids, texts.queries, base.query_tokens),
        ("document", base.document, document_ids, texts.documents, base.document_tokens),
    )
    for side, tower, ids, given, limit in sides:
        expected = reference.encode(side, given, max_tokens=limit)
        found = (encode_in_torch(tower, ids) * expected).sum(axis=1)
        cosines |= dict(zip(((side, text) for text in given), found.tolist(), strict=True))
    (side, text), least = min(cosines.items(), key=lambda each: each[1])
    if not least >= reference.min_cosine:
        raise ExportError(
            f"expected vectors with a cosine of at least {reference.min_cosine} to those of {reference.name},"
            f" found {least:.6f} for the {side} {text!r}: the folder holds something that is not known here"
        )
    return least

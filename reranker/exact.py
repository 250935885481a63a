"""Exact matches first: a part number or a title that is the query itself is what was looked for."""

import unicodedata
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from reranker.arrays import Booleans
from reranker.rerank import Ranking


def normalise(text: str) -> str:
    """Return a text as it is compared: Unicode NFKC, case folded, runs of white space one blank, trimmed."""
    if text.isascii():
        return " ".join(text.lower().split())
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


def is_exact(values: Iterable[str], text: str) -> bool:
    """Whether one of a document's values is the text, which `normalise` has changed already."""
    return bool(text) and any(normalise(value) == text for value in values)


def put_exact_first(ranking: Ranking, exact: Booleans) -> Ranking:
    """Put exact matches first, among themselves in first-stage order; the others follow as they are.

    Args:
        ranking: the order so far; hits that it lacks stay out of it.
        exact: (num_hits,) bool, in first-stage order.

    Returns:
        The new order; `exact` is filled, with False for hits that the order lacks.
    """
    first = exact[ranking.order]
    order = np.concatenate([np.sort(ranking.order[first]), ranking.order[~first]])
    shown = np.zeros_like(exact)
    shown[ranking.order] = first
    return replace(ranking, order=order, exact=shown)

"""A linear layer behind a query tower, so that it gives another's vectors: a query prefix without its time.

Encoders that were trained with words before each query ("Represent this sentence ...") put queries elsewhere
with them than without. Where to is for the most part a linear map: one of 384 x 384 brought bge-small's
vectors without its prefix from a mean cosine of .950 to .982 of those with it, and costs 150,000 products
instead of ten more tokens in every layer. A smaller tower is brought there in the same step (docs/models.md).
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from model_export.errors import TrainingError
from model_export.model.base import Base
from model_export.model.rotation import rotate_tower
from model_export.model.tokens import tokenise
from model_export.model.vectors import encode_once, encode_tokens
from reranker.arrays import Floats

RIDGE = 1.0
"""How strongly the map is held to the identity; .1 to 3 made a difference of .0002 with 14,000 texts."""

TEXTS_A_VALUE = 4
"""Fewer texts than so many for each value of a vector do not decide a map."""

HELD_BACK = 10
"""Of so many texts one is kept to measure."""


@dataclass(frozen=True)
class ChangedBase:
    """A base that needs no query prefix, and how near its vectors are to those with the prefix.

    `before` and `after` are mean cosines of texts that were held back.
    """

    base: Base
    before: float
    after: float


def fit_projection(
    base: Base, towards: Base, texts: list[str], folder: Path, *, tokenizer: Path, max_tokens: int
) -> ChangedBase:
    """Fit a layer behind the query tower of `base`, without prefix, to the vectors of `towards` with its own.

    Vectors are kept in `folder`, so that an interrupted run goes on.

    Raises:
        TrainingError: the towers differ in dimension or input, or there are too few texts to fit a map.
    """
    if (base.query.dim, base.query.kind) != (towards.query.dim, towards.query.kind):
        raise TrainingError(
            f"expected towers of one dimension and input, found {base.query.dim} {base.query.kind} and"
            f" {towards.query.dim} {towards.query.kind}"
        )
    least = TEXTS_A_VALUE * base.query.dim
    if len(texts) < least:
        raise TrainingError(
            f"expected {least} texts or more for vectors of {base.query.dim} values, found {len(texts)}:"
            " take more --texts, or more data"
        )
    sides = {"given": (base.query, ""), "wanted": (towards.query, towards.query_prefix)}
    found: list[Floats] = []
    for name, (tower, prefix) in sides.items():
        ids = tokenise(tower, tokenizer, texts, prefix=prefix, max_tokens=max_tokens)
        found.append(encode_once(partial(encode_tokens, tower), ids, folder / name, what=name))
    given, wanted = found
    kept = np.arange(len(texts)) % HELD_BACK == 0
    rows = fit_map(given[~kept], wanted[~kept])
    before, after = (
        average_cosine(given[kept], wanted[kept]),
        average_cosine(given[kept] @ rows.T, wanted[kept]),
    )
    changed = replace(
        base, query=rotate_tower(base.query, rows), query_prefix="", projected_prefix=towards.query_prefix
    )
    return ChangedBase(changed, before, after)


def fit_map(given: Floats, wanted: Floats, ridge: float = RIDGE) -> Floats:
    """Return the (dim, dim) map by which `given` (n, dim) comes nearest to `wanted`, unit vectors both.

    Ridge regression of the difference (Hoerl and Kennard 1970): I + (W - G)^T G (G^T G + ridge I)^-1.
    """
    wide = given.shape[1]
    gram = given.T.astype(np.float64) @ given + ridge * np.eye(wide)
    change = np.linalg.solve(gram, given.T.astype(np.float64) @ (wanted - given)).T
    rows: Floats = (np.eye(wide) + change).astype(np.float32)
    return rows


def average_cosine(first: Floats, second: Floats) -> float:
    """Return the mean cosine of the rows of two arrays, of any length each."""
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return float(((first * second).sum(axis=1) / norms).mean())

"""The canonical file of a bundle: texts with torch's vectors and scores, and how far a replay may differ."""

import msgspec
import numpy as np

from model_export.bundle.compare import Limits
from model_export.bundle.texts import CANONICAL_DOCUMENTS, CANONICAL_QUERIES
from model_export.model.crossing import TrainedCrossing
from model_export.model.reference import torch_scores
from reranker.arrays import Floats
from reranker.canonical import Canonical

DIGITS = 6
"""Decimal places of a component: finer than any tolerance here."""


def written(queries: Floats, documents: Floats, crossing: TrainedCrossing, limits: Limits) -> bytes:
    """Return the file's content for torch's vectors of the canonical texts, each (texts, dim)."""
    canonical = Canonical(
        queries=list(CANONICAL_QUERIES),
        documents=list(CANONICAL_DOCUMENTS),
        query_vectors=_rounded(queries),
        document_vectors=_rounded(documents),
        scores=_rounded(torch_scores(crossing, queries, documents)),
        min_query_cosine=limits.query_cosine,
        min_document_cosine=limits.document_cosine,
        max_score_difference=limits.score_difference,
    )
    return msgspec.json.encode(canonical) + b"\n"


def _rounded(values: Floats) -> list[list[float]]:
    rounded: list[list[float]] = np.round(values.astype(np.float64), DIGITS).tolist()
    return rounded

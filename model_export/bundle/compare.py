"""Compare a bundle with its base in torch: vectors, scores and orders, now and in a later replay."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import onnx
from scipy.stats import kendalltau

from model_export.bundle.texts import CANONICAL_DOCUMENTS, CANONICAL_QUERIES
from model_export.errors import ExportError
from model_export.model.crossing import ResidualCrossing, TrainedCrossing
from model_export.model.reference import encode_in_torch, score_in_torch
from model_export.model.tower import Tower
from model_export.onnx.encoder import build_encoder
from model_export.onnx.linear import multiply_exactly
from model_export.onnx.weights import WeightFile
from reranker.arrays import Floats
from reranker.canonical import Canonical
from reranker.crossing import Crossing
from reranker.encoder import Encoder, Ids

MAX_EXACT_DIFFERENCE = 1e-4
"""The largest difference of a vector's component between torch and the graph before quantisation."""

LOGIT_DIFFERENCE = 1.0
"""The largest difference of a residual crossing's score."""

DIGITS = 6
"""Decimal places of a component: finer than any tolerance here."""


@dataclass(frozen=True)
class Limits:
    """Limits of an export: least cosines to torch, largest score difference, least rank agreement."""

    query_cosine: float = 0.985
    document_cosine: float = 0.985
    score_difference: float = 0.04
    agreement: float = 0.95

    def for_crossing(self, crossing: TrainedCrossing) -> "Limits":
        """Return the limits for this crossing's scores: a logit has a wider range than a cosine."""
        if isinstance(crossing, ResidualCrossing):
            return replace(self, score_difference=max(self.score_difference, LOGIT_DIFFERENCE))
        return self


FOLDER_LIMITS = Limits(query_cosine=0.98, document_cosine=0.98, agreement=0.94)
"""Limits of people's own models, whose weights were not chosen for integers, as all-mpnet-base-v2."""


TRAINED_LIMITS = Limits(query_cosine=0.97, document_cosine=0.97, score_difference=0.1, agreement=0.85)
"""Limits of a bundle that is measured on held-back queries right after its export, in integers as it is."""


@dataclass(frozen=True)
class Comparison:
    """A bundle's vectors compared with torch's of the same texts.

    Cosines are of one text's two vectors; `score_difference` is the largest of any query with any document;
    `agreement` is the mean over queries of Kendall's tau between both orders of the documents.
    """

    query_cosine_mean: float
    query_cosine_min: float
    document_cosine_mean: float
    document_cosine_min: float
    score_difference: float
    agreement: float

    def check(self, limits: Limits) -> None:
        """Check the numbers against the limits.

        Raises:
            ExportError: a number exceeds its limit; the message holds all of both.
        """
        good = (
            self.query_cosine_min >= limits.query_cosine
            and self.document_cosine_min >= limits.document_cosine
            and self.score_difference <= limits.score_difference
            and self.agreement >= limits.agreement
        )
        if not good:
            raise ExportError(
                f"expected the export to stay within {limits}, found {self}: if integers are too coarse for"
                " this model, export it with --precision fp32"
            )


def compare_vectors(
    found: tuple[Floats, Floats],
    crossing: Crossing,
    original: tuple[Floats, Floats],
    trained: TrainedCrossing,
    num_ranked: tuple[int, int] | None = None,
) -> Comparison:
    """Compare vectors of queries and documents, (texts, dim) each, and crossing scores with torch's.

    The orders are those of the first `num_ranked` documents for the first queries; None is all.
    """
    (queries, documents), (torch_queries, torch_documents) = found, original
    query_cosines = (queries * torch_queries).sum(axis=1)
    document_cosines = (documents * torch_documents).sum(axis=1)
    scores = np.stack([crossing(query, documents) for query in queries])
    reference = score_in_torch(trained, torch_queries, torch_documents)
    rows, columns = num_ranked or scores.shape
    ranked = zip(scores[:rows, :columns], reference[:rows, :columns], strict=True)
    taus = [kendalltau(a, b).statistic for a, b in ranked]
    return Comparison(
        float(query_cosines.mean()),
        float(query_cosines.min()),
        float(document_cosines.mean()),
        float(document_cosines.min()),
        float(np.abs(scores - reference).max()),
        float(np.mean(taus)),
    )


def load_exact_encoder(tower: Tower, folder: Path) -> Encoder:
    """Build the graph in float32 and load it; its files are removed."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        weights = WeightFile()
        file = Path(scratch) / "exact.onnx"
        onnx.save(build_encoder(tower, multiply_exactly, weights), file)
        weights.write(file.parent)
        return Encoder(file)


def check_exact(tower: Tower, batch: Sequence[Ids], folder: Path) -> float:
    """Compare the float32 graph's vectors with torch's; return the largest difference of a component.

    Raises:
        ExportError: it exceeds MAX_EXACT_DIFFERENCE: the graph does not compute the model.
    """
    found = load_exact_encoder(tower, folder).encode_ids(batch)
    difference = float(np.abs(found - encode_in_torch(tower, batch)).max())
    if not difference <= MAX_EXACT_DIFFERENCE:
        raise ExportError(
            f"expected the float32 graph within {MAX_EXACT_DIFFERENCE} of torch, found {difference}:"
            " the base is not the BERT that the graph is written for"
        )
    return difference


def encode_canonical(queries: Floats, documents: Floats, crossing: TrainedCrossing, limits: Limits) -> bytes:
    """Return the canonical file: texts, torch's vectors (texts, dim) and scores, and limits of a replay."""
    canonical = Canonical(
        queries=list(CANONICAL_QUERIES),
        documents=list(CANONICAL_DOCUMENTS),
        query_vectors=_round(queries),
        document_vectors=_round(documents),
        scores=_round(score_in_torch(crossing, queries, documents)),
        min_query_cosine=limits.query_cosine,
        min_document_cosine=limits.document_cosine,
        max_score_difference=limits.score_difference,
    )
    return msgspec.json.encode(canonical) + b"\n"


def _round(values: Floats) -> list[list[float]]:
    rounded: list[list[float]] = np.round(values.astype(np.float64), DIGITS).tolist()
    return rounded

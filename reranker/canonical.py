"""Replay a bundle's canonical texts and compare vectors and scores with those of the original model."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from reranker.bundle import Bundle
from reranker.errors import EXPORT_AGAIN, BundleError
from reranker.text import Chunking


class Canonical(msgspec.Struct, frozen=True):
    """Texts with what the original model, in float32, made of them, and how far this bundle may differ.

    `query_vectors` is (num_queries, dim), `document_vectors` (num_documents, dim), `scores` the crossing
    scores, (num_queries, num_documents). The tolerances are smallest cosines and the largest difference
    of a score.
    """

    queries: list[str]
    documents: list[str]
    query_vectors: list[list[float]]
    document_vectors: list[list[float]]
    scores: list[list[float]]
    min_query_cosine: float
    min_document_cosine: float
    max_score_difference: float


_CANONICAL = msgspec.json.Decoder(Canonical)


@dataclass(frozen=True)
class Replay:
    """How near a bundle, run here, is to its original."""

    query_cosine: float
    document_cosine: float
    score_difference: float
    within: bool


def read(file: Path) -> Canonical:
    """Read canonical texts and values.

    Raises:
        BundleError: the file is missing or not of that form.
    """
    try:
        return _CANONICAL.decode(file.read_bytes())
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BundleError(
            f"expected canonical texts with vectors and scores in {file}, found: {error}. {EXPORT_AGAIN}"
        ) from error


def replay(bundle: Bundle) -> Replay:
    """Encode the canonical texts with this bundle on this machine and compare.

    Raises:
        BundleError: the canonical file or a model file cannot be used.
    """
    canonical = read(bundle.files[bundle.manifest.canonical])
    _check_sizes(canonical, bundle)
    encode = bundle.load_query_encoder()
    queries = np.stack([encode(text) for text in canonical.queries])
    documents = np.concatenate(
        bundle.load_document_encoder(threads=1)(canonical.documents, Chunking(max_chunks=1))
    )
    crossing = bundle.load_crossing()
    scores = np.stack([crossing(query, documents) for query in queries])
    query_cosine = _smallest_cosine(queries, canonical.query_vectors)
    document_cosine = _smallest_cosine(documents, canonical.document_vectors)
    difference = float(np.abs(scores - np.array(canonical.scores)).max())
    within = (
        query_cosine >= canonical.min_query_cosine
        and document_cosine >= canonical.min_document_cosine
        and difference <= canonical.max_score_difference
    )
    return Replay(query_cosine, document_cosine, difference, within)


def _check_sizes(canonical: Canonical, bundle: Bundle) -> None:
    num_queries, num_documents = len(canonical.queries), len(canonical.documents)
    found = {
        "query_vectors": (len(canonical.query_vectors), set(map(len, canonical.query_vectors))),
        "document_vectors": (len(canonical.document_vectors), set(map(len, canonical.document_vectors))),
        "scores": (len(canonical.scores), set(map(len, canonical.scores))),
    }
    expected = {
        "query_vectors": (num_queries, {bundle.manifest.dim}),
        "document_vectors": (num_documents, {bundle.manifest.dim}),
        "scores": (num_queries, {num_documents}),
    }
    if found != expected:
        raise BundleError(
            f"{bundle.files[bundle.manifest.canonical]}: expected rows and lengths {expected}, found {found}."
            f" {EXPORT_AGAIN}"
        )


def _smallest_cosine(vectors: np.ndarray, reference: list[list[float]]) -> float:
    original = np.array(reference, np.float32)
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(original, axis=1)
    return float(((vectors * original).sum(axis=1) / lengths).min())

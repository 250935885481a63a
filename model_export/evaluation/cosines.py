"""Crossing scores of queries and their hits, whose vectors are cached in a folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from model_export.data.collection import Hits, JudgedCollection
from model_export.errors import ExportError
from reranker.arrays import Floats, Positions
from reranker.bundle import Bundle
from reranker.crossing import Cosine, Crossing
from reranker.text import Chunking

EncodeQuery = Callable[[str], Floats]
CHUNKING = Chunking()
COSINE = Cosine(1.0, 0.0)


def encode_hits(
    bundle: Bundle, collection: JudgedCollection, cache: Path, *, threads: int
) -> dict[str, Floats]:
    """Encode the collection's hits as they would be indexed: id -> (num_chunks, dim) float32.

    Vectors that the same document tower gave before are read from `cache`.

    Raises:
        ExportError: the cache cannot be written.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"expected a folder for vectors at {cache}, found: {error}") from error
    file = cache / f"{collection.name}-{bundle.model_tag:08x}.npz"
    vectors = _read_vectors(file) if file.exists() else {}
    missing = [i for i in collection.hit_ids if i not in vectors]
    if missing:
        encode = bundle.load_document_encoder(threads=threads)
        texts = [collection.documents[i] for i in missing]
        vectors |= dict(zip(missing, encode(texts, CHUNKING), strict=True))
        ends = np.cumsum([len(chunks) for chunks in vectors.values()])[:-1]
        _write_vectors(file, vectors, ends)
    return vectors


def _write_vectors(file: Path, vectors: dict[str, Floats], ends: Positions) -> None:
    """Write the file whole or not at all, whatever interrupts it."""
    partial = file.with_name(f".partial-{file.name}")
    try:
        np.savez(partial, ids=list(vectors), vectors=np.concatenate(list(vectors.values())), ends=ends)
        partial.replace(file)
    except OSError as error:
        raise ExportError(f"expected to write vectors to {file}, found: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _read_vectors(file: Path) -> dict[str, Floats]:
    with np.load(file) as stored:
        return dict(zip(stored["ids"].tolist(), np.split(stored["vectors"], stored["ends"]), strict=True))


def score_hits(
    collection: JudgedCollection, encode: EncodeQuery, vectors: dict[str, Floats], crossing: Crossing = COSINE
) -> Hits:
    """Score every hit of every query by its best chunk: query id -> document id -> crossing score."""
    cosines: Hits = {}
    for query, text in collection.queries.items():
        vector = encode(text)
        cosines[query] = {hit: float(crossing(vector, vectors[hit]).max()) for hit in collection.hits[query]}
    return cosines

"""Cosines of queries with their hits' documents, the documents' vectors kept in a cache folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from model_export.collection import Collection, Hits
from model_export.quantize import Floats
from reranker.bundle import Bundle
from reranker.text import Chunking

EncodeQuery = Callable[[str], Floats]
CHUNKING = Chunking()


def document_vectors(
    bundle: Bundle, collection: Collection, cache: Path, *, threads: int
) -> dict[str, Floats]:
    """Encode the collection's hits as they would be indexed: id -> (num_chunks, dim) float32.

    The vectors are read from `cache` where the same document tower has made them before.
    """
    ids = collection.hit_ids
    file = cache / f"{collection.name}-{len(ids)}-{bundle.model_tag:08x}.npz"
    if file.exists():
        with np.load(file) as stored:
            return dict(zip(ids, np.split(stored["vectors"], stored["ends"]), strict=True))
    encode = bundle.document_encoder(threads=threads)
    vectors = encode([collection.documents[i] for i in ids], CHUNKING)
    cache.mkdir(parents=True, exist_ok=True)
    ends = np.cumsum([len(chunks) for chunks in vectors])[:-1]
    np.savez(file, vectors=np.concatenate(vectors), ends=ends)
    return dict(zip(ids, vectors, strict=True))


def hit_cosines(collection: Collection, encode: EncodeQuery, vectors: dict[str, Floats]) -> Hits:
    """Score every hit of every query by its best chunk: query id -> document id -> cosine."""
    cosines: Hits = {}
    for query, text in collection.queries.items():
        vector = encode(text)
        cosines[query] = {hit: float((vectors[hit] @ vector).max()) for hit in collection.hits[query]}
    return cosines

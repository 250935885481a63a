"""Smaller stored vectors: fewer dimensions by a rotation of both towers, fewer bytes by rounding."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from model_export.data.collection import Hits, JudgedCollection
from model_export.data.quality import fuse_scores, measure_ndcg
from model_export.evaluation.cosines import encode_hits
from model_export.model.rotation import fit_rotation
from reranker.arrays import Floats
from reranker.bundle import Bundle
from reranker.stored_vector import HEADER, ValueType, pack, packed_size, unpack

TYPES = {"float32": None, "float16": ValueType.FLOAT16, "int8": ValueType.INT8}
"""How a value is stored; float32 is the encoder's output, which is never stored."""


def measure_sizes(
    bundle: Bundle,
    collections: Sequence[JudgedCollection],
    sample: JudgedCollection,
    cache: Path,
    dims: Sequence[int],
) -> Iterator[str]:
    """Yield a Markdown table: bytes of a stored vector and fused nDCG@10, by dimension and value type.

    The rotation is fitted on the documents of `sample`, which should not be one of `collections`.
    """
    found = [_encode_collection(bundle, data, cache) for data in collections]
    sampled = np.concatenate(list(encode_hits(bundle, sample, cache, threads=1).values()))
    wide = bundle.manifest.dim
    yield f"| dimension, values | bytes | {' | '.join(data.name for data in collections)} | mean | loss |"
    yield f"|---|{'---:|' * (len(collections) + 3)}"
    whole = None
    for dim in dims:
        rows = fit_rotation(sampled, dim) if dim < wide else np.eye(wide, dtype=np.float32)
        for name, value_type in TYPES.items():
            weight = bundle.manifest.fusion.weight
            quality = [
                measure_ndcg(
                    data, fuse_scores(data.hits, _score_collection(data, *vectors, rows, value_type), weight)
                )
                for data, vectors in zip(collections, found, strict=True)
            ]
            mean = float(np.mean(quality))
            whole = mean if whole is None else whole
            size = packed_size(dim, 1, value_type) if value_type else HEADER.size + 4 * dim
            cells = [f"{size}", *(f"{each:.4f}" for each in (*quality, mean, whole - mean))]
            yield f"| {dim}, {name} | {' | '.join(cells)} |"


def _encode_collection(
    bundle: Bundle, data: JudgedCollection, cache: Path
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    encode = bundle.load_query_encoder()
    queries = {query: encode(text) for query, text in data.queries.items()}
    return queries, encode_hits(bundle, data, cache, threads=1)


def _score_collection(
    data: JudgedCollection,
    queries: dict[str, Floats],
    documents: dict[str, Floats],
    rows: Floats,
    value_type: ValueType | None,
) -> Hits:
    stored = {
        hit: _store_and_read(_normalise(vectors @ rows.T), value_type) for hit, vectors in documents.items()
    }
    run: Hits = {}
    for query, vector in queries.items():
        rotated = _normalise(vector @ rows.T)
        run[query] = {hit: float((stored[hit] @ rotated).max()) for hit in data.hits[query]}
    return run


def _store_and_read(vectors: Floats, value_type: ValueType | None) -> Floats:
    if value_type is None:
        return vectors
    return unpack(pack(vectors, text_hash=0, model_tag=0, value_type=value_type)).values


def _normalise(vectors: Floats) -> Floats:
    units: Floats = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return units

"""Stored vectors of random unit vectors, and a crossing for them."""

import numpy as np

from reranker.arrays import Floats
from reranker.crossing import Cosine
from reranker.fusion import Fusion, choose_fusion
from reranker.stored_vector import ValueType, pack

COSINE = Cosine(scale=10.0, offset=-5.0)


DIM, TAG = 6, 0xCAFE


def log_linear(weight: float) -> Fusion:
    return choose_fusion("log_linear", weight, 60)


def unit_vectors(count: int, dim: int, seed: int) -> Floats:
    vectors = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    normalised: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return normalised


QUERY = unit_vectors(1, DIM, seed=0)[0]


def stored(
    seed: int, *, num_chunks: int = 1, dim: int = DIM, tag: int = TAG, kind: ValueType = ValueType.INT8
) -> bytes:
    return pack(unit_vectors(num_chunks, dim, seed), text_hash=seed, model_tag=tag, value_type=kind)

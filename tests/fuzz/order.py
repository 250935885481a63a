"""The order of a window whose vectors the input damages: the same as plain code gives, hit for hit."""

from random import Random

import numpy as np

from reranker.crossing import Cosine
from reranker.errors import ScoresError
from reranker.fusion import choose_fusion
from reranker.rerank import rank
from reranker.stored_vector import ValueType, pack
from reranker.window_vectors import score_vectors
from tests.fuzz.reference import cosine_scores, fused_scores

DIM = 8
MODEL_TAG = 7
WEIGHT = 10.0
CLOSE = 1e-4
"""Fused scores closer than this may change places: float32 beside float64, times the weight."""


def window(data: bytes) -> None:
    """Score and order hits; the input damages their vectors and chooses their first-stage scores."""
    random = Random(data)
    generator = np.random.default_rng(random.randrange(2**32))
    packed = [_packed(random, generator, data) for _ in range(random.randint(1, 12))]
    first_stage = [random.choice((0.0, 1.0, 1.5, random.random() * 30)) for _ in packed]
    query = generator.normal(size=DIM).astype(np.float32)
    query /= np.linalg.norm(query)
    crossing = score_vectors(query, packed, Cosine(scale=1.0, offset=0.0), MODEL_TAG)
    plain = cosine_scores(query, packed, MODEL_TAG)
    assert [bool(np.isnan(score)) for score in crossing] == [score is None for score in plain]
    fuse = choose_fusion("log_linear", WEIGHT, 60)
    try:
        ranking = rank(np.array(first_stage), crossing, fuse)
    except ScoresError:
        raise AssertionError("no score here is negative") from None
    fused = fused_scores(first_stage, plain, WEIGHT)
    assert sorted(ranking.order.tolist()) == list(range(len(packed)))
    for better, worse in zip(ranking.order, ranking.order[1:], strict=False):
        slack = CLOSE * max(1.0, *(abs(each) for each in fused if np.isfinite(each)), 1.0)
        assert fused[better] >= fused[worse] - slack or fused[better] == fused[worse]
        if fused[better] == fused[worse] and crossing[better] == crossing[worse]:
            assert better < worse, "ties keep their order"


def _packed(random: Random, generator: np.random.Generator, data: bytes) -> bytes | None:
    """Return a stored vector: sound, of another model or dimension, damaged, nothing, or the input itself."""
    kind = random.random()
    if kind < 0.1:
        return None
    if kind < 0.2:
        return data[: random.randint(0, 200)]
    dim = DIM if kind < 0.9 else random.randint(1, 12)
    values = generator.normal(size=(random.randint(1, 3), dim)).astype(np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    tag = MODEL_TAG if random.random() < 0.9 else 8
    packed = bytearray(pack(values, text_hash=1, model_tag=tag, value_type=random.choice(list(ValueType))))
    if random.random() < 0.4:
        packed[random.randrange(len(packed))] ^= 1 << random.randrange(8)
    if random.random() < 0.1:
        del packed[random.randrange(len(packed)) :]
    return bytes(packed)

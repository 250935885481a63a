"""Score a window of hits by their stored vectors, and order it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reranker.arrays import Floats, Floats64, Positions
from reranker.crossing import Crossing
from reranker.fusion import Fusion
from reranker.window_vectors import WindowVectors


@dataclass(frozen=True)
class Ranking:
    """A reordered window.

    `order` is (num_hits,) intp: positions in first-stage order, best first. `crossing` is (num_hits,) float32
    in first-stage order, NaN where a hit had no usable vector; `neutral` stood in for those. `fused` is
    (num_hits,) float64 in first-stage order: what the order was made from. `num_scored` counts the hits with
    a usable vector. `similarity` is (num_hits,) float32, to the best hits, where these had a vote (feedback);
    `neighbours` (num_hits,) float64, the nearest hits' mean fused value, where it had a share (smoothing).
    """

    order: Positions
    crossing: Floats
    fused: Floats64
    num_scored: int
    neutral: float = 0.0
    similarity: Floats | None = None
    neighbours: Floats64 | None = None


def crossing_scores(
    query: Floats, packed: Sequence[bytes | None], crossing: Crossing, model_tag: int
) -> Floats:
    """Score hits by their packed vectors; several chunks count as their best one.

    Args:
        query: (dim,) float32, a unit vector.
        packed: num_hits stored vectors, None where a hit has none.
        crossing: the bundle's crossing layer.
        model_tag: the only tag that is accepted: vectors of another model are never compared.

    Returns:
        (num_hits,) float32, NaN where the vector is missing, of another model or dimension, or damaged.
    """
    return WindowVectors(packed, dim=len(query), model_tag=model_tag).scores(query, crossing)


def rank(first_stage: Floats64, crossing: Floats, fusion: Fusion) -> Ranking:
    """Fuse (num_hits,) first-stage and crossing scores and order the window, ties in first-stage order.

    A hit without a crossing score gets a neutral one, the window's median, so that it keeps the place which
    its first-stage score earns and is never dropped.

    Raises:
        ScoresError: first-stage scores that the fusion is not defined for.
    """
    scored = np.isfinite(crossing)
    num_scored = int(scored.sum())
    neutral = float(np.median(crossing[scored])) if num_scored else 0.0
    filled = np.where(scored, crossing, neutral).astype(np.float64)
    fused = fusion(first_stage, filled)
    return Ranking(np.argsort(-fused, kind="stable"), crossing, fused, num_scored, neutral)

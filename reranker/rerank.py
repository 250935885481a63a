"""Rerank a window of hits by their stored vectors: crossing, fusion, feedback, smoothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from reranker.arrays import Booleans, Floats, Floats64, Positions
from reranker.crossing import Crossing
from reranker.feature_table import FeatureTable
from reranker.feedback import similarity_to_best
from reranker.fusion import Fusion
from reranker.smoothing import mean_of_nearest, mix
from reranker.window_vectors import WindowVectors


@dataclass(frozen=True)
class Ranking:
    """A reranked window.

    `order` is (num_hits,) intp: positions in first-stage order, best first. `crossing` is (num_hits,) float32
    in first-stage order, NaN if a hit has no usable vector. `fused` is (num_hits,) float64 in first-stage
    order: the order is made from it. `num_scored` counts the hits with a usable vector. `similarity` is
    (num_hits,) float32, to the feedback documents, None without feedback; `neighbours` is (num_hits,)
    float64, the nearest hits' mean fused value, None without smoothing. `signals` is (num_signals, num_hits)
    float64, the logarithms of the factors of signals, None without signals; `boosts` is the same of the
    boosts and buries of rules, (num_boosts, num_hits). `unlikely` is (num_hits,) bool,
    the hits below the least probability, None without one: if they are cut, `order` lacks them. `exact` is
    (num_hits,) bool, the exact matches, None if there is no field to compare. `before_diversity` is the order
    that diversity found, None without it, and `num_moved` counts the hits that it moved. `features` are those
    that a combiner saw, or that the search asks for; None for others.
    """

    order: Positions
    crossing: Floats
    fused: Floats64
    num_scored: int
    similarity: Floats | None = None
    neighbours: Floats64 | None = None
    signals: Floats64 | None = None
    boosts: Floats64 | None = None
    unlikely: Booleans | None = None
    exact: Booleans | None = None
    before_diversity: Positions | None = None
    num_moved: int = 0
    features: FeatureTable | None = None

    @property
    def neutral(self) -> float:
        """The window's median crossing score, which stands in for that of a hit without a usable vector."""
        return _find_median(self.crossing[np.isfinite(self.crossing)])


def rerank(
    first_stage: Floats64,
    fusion: Fusion,
    *,
    query: Floats,
    packed: Sequence[bytes | None],
    crossing: Crossing,
    model_tag: int,
    feedback: float = 0.0,
    smoothing: float = 0.0,
) -> Ranking:
    """Score and order a window.

    Args:
        first_stage: (num_hits,) float64.
        fusion: how a first-stage score and a crossing become one.
        query: (dim,) float32, a unit vector.
        packed: num_hits stored vectors, None for a hit without one.
        crossing: the bundle's crossing layer.
        model_tag: the only tag that is accepted: vectors of another model are never compared.
        feedback: weight of the similarity to the feedback documents, beside a crossing score; 0: none.
        smoothing: the share of a hit's fused value that its nearest hits have, 0 to 1.

    Raises:
        ScoresError: first-stage scores that the fusion is not defined for.
    """
    vectors = WindowVectors(packed, dim=len(query), model_tag=model_tag)
    return rerank_vectors(
        first_stage,
        fusion,
        query=query,
        vectors=vectors,
        crossing=crossing,
        feedback=feedback,
        smoothing=smoothing,
    )


def rerank_vectors(
    first_stage: Floats64,
    fusion: Fusion,
    *,
    query: Floats,
    vectors: WindowVectors,
    crossing: Crossing,
    feedback: float = 0.0,
    smoothing: float = 0.0,
) -> Ranking:
    """Score and order a window whose stored vectors are read; everything else as for `rerank`.

    Raises:
        ScoresError: first-stage scores that the fusion is not defined for.
    """
    ranking = rank(first_stage, vectors.scores(query, crossing), fusion)
    if feedback:
        ranking = apply_feedback(
            ranking, first_stage, fusion, query=query, vectors=vectors, crossing=crossing, weight=feedback
        )
    if smoothing:
        ranking = apply_smoothing(ranking, query=query, vectors=vectors, crossing=crossing, share=smoothing)
    return ranking


def rank(first_stage: Floats64, crossing: Floats, fusion: Fusion) -> Ranking:
    """Fuse (num_hits,) first-stage and crossing scores and order the window, ties in first-stage order.

    A hit without a crossing score gets a neutral one, the window's median. So it keeps the place that its
    first-stage score earns, and is never dropped.

    Raises:
        ScoresError: first-stage scores that the fusion is not defined for.
    """
    scored = np.isfinite(crossing)
    num_scored = int(np.count_nonzero(scored))
    filled = crossing.astype(np.float64)
    if num_scored < len(crossing):
        filled[~scored] = _find_median(crossing[scored])
    fused = fusion(first_stage, filled)
    return Ranking(np.argsort(-fused, kind="stable"), crossing, fused, num_scored)


def apply_feedback(
    ranking: Ranking,
    first_stage: Floats64,
    fusion: Fusion,
    *,
    query: Floats,
    vectors: WindowVectors,
    crossing: Crossing,
    weight: float,
) -> Ranking:
    """Rank a window again, with `weight` times each hit's similarity to the best ones added to its crossing.

    Args:
        ranking: the first order; without a usable vector in it, it stays as it is.
        first_stage: (num_hits,) float64, as for `rank`.
        fusion: as for `rank`.
        query: (dim,) float32, a unit vector.
        vectors: the window's.
        crossing: the bundle's crossing layer, by which a document of several chunks is its best one.
        weight: weight of a similarity, a cosine, beside a crossing score.

    Returns:
        The new order; `crossing` is still the query's own, `similarity` is filled.

    Raises:
        ScoresError: as `rank`.
    """
    similarity = similarity_to_best(find_reliable(ranking), ranking.fused, query, vectors, crossing)
    if similarity is None:
        return ranking
    moved = rank(first_stage, ranking.crossing + np.float32(weight) * similarity, fusion)
    return replace(moved, crossing=ranking.crossing, similarity=similarity)


def apply_smoothing(
    ranking: Ranking, *, query: Floats, vectors: WindowVectors, crossing: Crossing, share: float
) -> Ranking:
    """Rank a window again, with `share` of each hit's fused value taken from its nearest hits.

    Args:
        ranking: the order so far. A hit without a usable vector, one fused to -inf, and those after the first
            `smoothing.DEEPEST` keep their values.
        query: (dim,) float32, a unit vector: of several chunks, the one nearest to it is compared.
        vectors: the window's.
        crossing: the bundle's crossing layer, by which that chunk is found.
        share: 0 to 1.

    Returns:
        The new order, ties in first-stage order; `neighbours` is filled.
    """
    neighbours = mean_of_nearest(find_reliable(ranking), ranking.fused, query, vectors, crossing)
    fused = mix(ranking.fused, neighbours, share)
    return replace(ranking, order=np.argsort(-fused, kind="stable"), fused=fused, neighbours=neighbours)


def _find_median(crossing: Floats) -> float:
    """Return the median of finite scores, 0 if there are none."""
    return float(np.median(crossing)) if len(crossing) else 0.0


def find_reliable(ranking: Ranking) -> Positions:
    """Return the hits with a usable vector and a finite fused value, best first."""
    return ranking.order[np.isfinite(ranking.crossing[ranking.order] + ranking.fused[ranking.order])]

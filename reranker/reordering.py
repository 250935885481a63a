"""The order of a window by its stored vectors: crossing, fusion, the best hits' vote, smoothing."""

from collections.abc import Sequence

from reranker.arrays import Floats, Floats64
from reranker.crossing import Crossing
from reranker.feedback import with_feedback
from reranker.fusion import Fusion
from reranker.smoothing import smoothed
from reranker.window import Ranking, rank
from reranker.window_vectors import WindowVectors


def reordered(
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
        packed: num_hits stored vectors, None where a hit has none.
        crossing: the bundle's crossing layer.
        model_tag: the only tag that is accepted: vectors of another model are never compared.
        feedback: what the best hits' vote counts beside a crossing score, 0 none.
        smoothing: the share of a hit's fused value that its nearest hits have, 0 to 1.

    Raises:
        ScoresError: first-stage scores that the fusion is not defined for.
    """
    vectors = WindowVectors(packed, dim=len(query), model_tag=model_tag)
    ranking = rank(first_stage, vectors.scores(query, crossing), fusion)
    if feedback:
        ranking = with_feedback(
            ranking, first_stage, fusion, query=query, vectors=vectors, crossing=crossing, weight=feedback
        )
    if smoothing:
        ranking = smoothed(ranking, query=query, vectors=vectors, crossing=crossing, share=smoothing)
    return ranking

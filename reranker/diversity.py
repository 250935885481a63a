"""Diversity: hits that say the same are spread, so that the first page shows what else there is.

Greedy maximal marginal relevance over the window's own vectors: the next hit is the one with the highest

    (1 - diversity) * relevance - diversity * its largest cosine to a hit that is placed already

where relevance is the logarithm of the fused score, scaled to 0 to 1, so that `diversity` is 1 - lambda. The
first hit never moves, and no hit is dropped. Near-duplicates are kept APART as far as there are other hits.
Source: Carbonell and Goldstein, The use of MMR, diversity-based reranking for reordering documents and
producing summaries, SIGIR 1998.
"""

from collections.abc import Set
from dataclasses import replace

import numpy as np

from reranker.arrays import Floats, Floats64, Positions
from reranker.crossing import Crossing
from reranker.rerank import Ranking
from reranker.window_vectors import WindowVectors

DEEPEST = 200
"""How many of the best hits are spread: the cost grows with their square."""

NEAR_DUPLICATE = 0.97
"""Cosine above which two hits are near-duplicates."""

APART = 5
"""The least distance of near-duplicates, in ranks."""


def diversify(
    ranking: Ranking,
    *,
    query: Floats,
    vectors: WindowVectors,
    crossing: Crossing,
    diversity: float,
    is_logarithm: bool,
) -> Ranking:
    """Spread the best hits of a window by maximal marginal relevance; 0 changes nothing.

    Args:
        ranking: the order so far. Hits of a low probability, and those after the first DEEPEST, stay last.
        query: (dim,) float32, a unit vector: of several chunks, the one nearest to it is compared.
        vectors: the window's. A hit without a usable one is like no other.
        crossing: the bundle's crossing layer, by which that chunk is found.
        diversity: 0 to 1, the weight of novelty beside relevance.
        is_logarithm: whether `ranking.fused` has logarithms, as those of `log_linear` are.

    Returns:
        The new order; `before_diversity` and `num_moved` are filled.
    """
    spread = ranking.order if ranking.unlikely is None else ranking.order[~ranking.unlikely[ranking.order]]
    best = spread[:DEEPEST]
    if diversity <= 0 or len(best) < 3:
        return replace(ranking, before_diversity=ranking.order)
    cosines = _find_cosines(vectors.best_chunks(query, crossing, best))
    relevance = _scale_relevance(ranking.fused[best], is_logarithm=is_logarithm)
    order = ranking.order.copy()
    order[: len(best)] = best[_select_greedily(relevance, cosines, diversity)]
    num_moved = int(np.count_nonzero(order != ranking.order))
    return replace(ranking, order=order, before_diversity=ranking.order, num_moved=num_moved)


def _find_cosines(chunks: Floats) -> Floats:
    """Return (num_hits, num_hits) float32 in -1 to 1, 0 for a hit whose chunk is NaN."""
    without = np.isnan(chunks[:, 0])
    if without.any():
        chunks = np.where(without[:, None], np.float32(0), chunks)
    cosines: Floats = chunks @ chunks.T
    return np.clip(cosines, -1, 1, out=cosines)  # a damaged vector may be longer than 1


def _scale_relevance(fused: Floats64, *, is_logarithm: bool) -> Floats64:
    """Return relevance, 0 to 1, of values in descending order; what cannot be relevant has 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithms = fused if is_logarithm else np.log(fused)
    finite = np.isfinite(logarithms)
    if not finite.any():
        return np.zeros(len(fused))
    low, high = logarithms[finite].min(), logarithms[finite].max()
    scaled = (logarithms - low) / (high - low) if high > low else np.ones(len(fused))
    return np.where(finite, scaled, 0.0)


def _select_greedily(relevance: Floats64, cosines: Floats, diversity: float) -> Positions:
    """Return (num_hits,) positions as they are selected, position 0 first; ties by position."""
    # A hit's value is the least of (relevance - cosine) over the hits that are selected: one row for each.
    values_after = (1 - diversity) * relevance - np.float32(diversity) * cosines
    np.fill_diagonal(values_after, -np.inf)  # what is selected is not selected again
    rows, near = list(values_after), _list_near(cosines)
    values, selected = rows[0].copy(), [0]
    find_best = values.argmax
    for _ in range(1, len(relevance)):
        chosen = int(find_best())
        # Few hits have near-duplicates, and of those few are placed nearby: all others cost one look-up.
        if chosen in near and not near[chosen].isdisjoint(selected[1 - APART :]):
            blocked = set[int]().union(*(near[last] for last in selected[1 - APART :] if last in near))
            chosen = _find_free(values, blocked, chosen)
        selected.append(chosen)
        np.minimum(values, rows[chosen], out=values)
    return np.array(selected, np.intp)


def _list_near(cosines: Floats) -> dict[int, set[int]]:
    """Return the near-duplicates of each position that has any."""
    near: dict[int, set[int]] = {}
    alike, num_hits = cosines > NEAR_DUPLICATE, len(cosines)
    np.fill_diagonal(alike, val=False)  # each hit is one of itself
    for cell in np.flatnonzero(alike).tolist():
        one, other = divmod(cell, num_hits)
        near.setdefault(one, set()).add(other)
    return near


def _find_free(values: Floats64, blocked: Set[int], otherwise: int) -> int:
    """Return the position of the highest value that is not blocked, or `otherwise` if all are."""
    free = values.copy()
    free[list(blocked)] = -np.inf
    best = int(free.argmax())
    return best if free[best] > -np.inf else otherwise

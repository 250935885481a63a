"""How far two orders of one window are apart: overlap, Kendall's tau, and how hits of the page moved."""

from bisect import bisect_left, insort
from dataclasses import dataclass

from reranker.arrays import Positions

PAGE = 10


@dataclass(frozen=True)
class OrderComparison:
    """Two orders of one window.

    `overlap` is the share of the first PAGE hits that both have there. `tau` is Kendall's: 1 for equal
    orders, -1 for opposite ones. `moved` is how many of the first PAGE hits have another rank, `mean_change`
    by how many ranks those hits moved on average.
    """

    overlap: float
    tau: float
    moved: int
    mean_change: float


def compare_orders(shown: Positions, other: Positions) -> OrderComparison:
    """Compare two (num_hits,) orders of the same hits; the page is that of `shown`."""
    ours, theirs = shown.tolist(), other.tolist()
    page = ours[:PAGE]
    if not page:
        return OrderComparison(1.0, 1.0, 0, 0.0)
    ranks = {position: rank for rank, position in enumerate(theirs)}
    changes = [abs(ranks[position] - rank) for rank, position in enumerate(page)]
    overlap = len(set(page) & set(theirs[:PAGE])) / len(page)
    tau = _compute_tau([ranks[position] for position in ours])
    return OrderComparison(overlap, tau, sum(change > 0 for change in changes), sum(changes) / len(page))


def _compute_tau(ranks: list[int]) -> float:
    """Return Kendall's tau of 0..n-1 and these ranks, which have no ties."""
    num_pairs = len(ranks) * (len(ranks) - 1) / 2
    if not num_pairs:
        return 1.0
    before: list[int] = []
    num_swapped = 0
    for rank in ranks:
        num_swapped += len(before) - bisect_left(before, rank)
        insort(before, rank)
    return 1 - 2 * num_swapped / num_pairs

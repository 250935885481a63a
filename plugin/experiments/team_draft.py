"""Team Draft interleaving: one order made of two, in which each hit is one arm's pick.

F. Radlinski, M. Kurup, T. Joachims: How Does Clickthrough Data Reflect Retrieval Quality? CIKM 2008.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from plugin.experiments.unit import hash_texts
from reranker.arrays import Positions

NO_TEAM = -1

Coin = Callable[[int], bool]
"""The rank, from 0, at which a round begins -> whether the first arm picks first."""


@dataclass(frozen=True)
class TeamDraft:
    """An interleaved window.

    `order` is (num_hits,) intp: first-stage positions as they are shown. `teams` has for each rank which arm
    a click there counts for: 0, 1, or NO_TEAM.
    """

    order: Positions
    teams: tuple[int, ...]


def build_coin(experiment: str, unit: str, query_text: str) -> Coin:
    """Return the coin of one unit and query: the same on every page, and in every worker."""
    normalised = _normalise(query_text)
    return lambda rank: hash_texts(experiment, unit, normalised, str(rank)) % 2 == 0


def name_draft(experiment: str, unit: str, query_text: str) -> str:
    """Return what names the coins of one unit and query: 16 hexadecimal digits."""
    return f"{hash_texts(experiment, unit, _normalise(query_text)):016x}"


def _normalise(query_text: str) -> str:
    return " ".join(query_text.casefold().split())


def draft_teams(first: Positions, second: Positions, coin: Coin, depth: int | None = None) -> TeamDraft:
    """Interleave two orders of one window.

    What both orders begin with is shown first, and is nobody's. Then come rounds, in which each arm picks the
    best hit of its own order that is not taken yet; a coin says who picks first.

    A round counts only if both orders place all hits that may be picked in it differently, however the coin
    falls. A hit of equal rank in both orders says nothing; and if its partner alone counted, an arm could win
    by the ranks of its hits, without any preference of a user.

    Args:
        first: (num_hits,) intp, the first arm's order: first-stage positions, best first.
        second: (num_hits,) intp, the second arm's order of the same hits.
        coin: which arm picks first.
        depth: so many hits are to be shown, None for all; those after them follow without a team.
    """
    orders = first.tolist(), second.tolist()
    ranks = [_invert(order) for order in orders]
    num_alike = _count_alike(*orders)
    shown, teams = orders[0][:num_alike], [NO_TEAM] * num_alike
    taken = set(shown)
    left = [_Left(order, taken) for order in orders]
    num_drafted = len(orders[0]) if depth is None else min(depth, len(orders[0]))
    while len(shown) < num_drafted:
        picks, counts = _play_round(left, ranks, taken, first_arm=0 if coin(len(shown)) else 1)
        for position, team in picks:
            shown.append(position)
            teams.append(team if counts else NO_TEAM)
    shown += [position for position in orders[0] if position not in taken]
    teams += [NO_TEAM] * (len(shown) - len(teams))
    return TeamDraft(np.array(shown, np.intp), tuple(teams))


class _Left:
    """What one arm's order has left, best first."""

    def __init__(self, order: Sequence[int], taken: set[int]) -> None:
        self._order, self._taken, self._at = order, taken, 0

    def best(self, number: int) -> list[int]:
        """Return the best hits that are left, at most so many."""
        while self._at < len(self._order) and self._order[self._at] in self._taken:
            self._at += 1
        found: list[int] = []
        at = self._at
        while len(found) < number and at < len(self._order):
            if self._order[at] not in self._taken:
                found.append(self._order[at])
            at += 1
        return found


def _play_round(
    left: Sequence[_Left], ranks: Sequence[Sequence[int]], taken: set[int], *, first_arm: int
) -> tuple[list[tuple[int, int]], bool]:
    """Return the picks of one round with their arms, and whether clicks on them count."""
    tops = [each.best(2) for each in left]
    candidates = {tops[0][0], tops[1][0]}
    if len(candidates) == 1:  # both want the same hit, so the later one picks its second
        candidates.update(tops[0][1:], tops[1][1:])
    counts = all(ranks[0][each] != ranks[1][each] for each in candidates)
    picks = []
    for arm in (first_arm, 1 - first_arm):
        position = next((each for each in tops[arm] if each not in taken), None)
        if position is not None:
            taken.add(position)
            picks.append((position, arm))
    return picks, counts


def _invert(order: Sequence[int]) -> list[int]:
    ranks = [0] * len(order)
    for rank, position in enumerate(order):
        ranks[position] = rank
    return ranks


def _count_alike(first: Sequence[int], second: Sequence[int]) -> int:
    """Return how many hits both orders begin with."""
    pairs: Iterator[tuple[int, int]] = zip(first, second, strict=True)
    return next((rank for rank, (one, other) in enumerate(pairs) if one != other), len(first))

"""The order of one window: its plan's, or two arms' made into one, and those that are compared with it."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from opensearch.fields.vector_field import Hit
from opensearch.search.plan import Interleaving, Plan
from opensearch.settings.fusion import ResolvedFusion
from plugin.experiments.attributes import NOBODYS, SHADOW, encode_shadow
from plugin.experiments.order_comparison import compare_orders
from plugin.experiments.team_draft import NO_TEAM, build_coin, draft_teams
from plugin.search.adjustments import adjust, keep_exact
from reranker.arrays import Floats, Floats64, Positions
from reranker.crossing import Crossing
from reranker.errors import ScoresError
from reranker.fusion import choose_fusion
from reranker.rerank import Ranking, rerank_vectors
from reranker.window_vectors import WindowVectors

_log = logging.getLogger("twinrank.search")


@dataclass(frozen=True)
class WindowOrdering:
    """Everything by which a window is ordered.

    Attributes:
        plan: the search's.
        hits: the window's, in first-stage order.
        first_stage: (num_hits,) float64.
        query: (dim,) float32, a unit vector.
        vectors: the window's.
        crossing: the bundle's crossing layer.
    """

    plan: Plan
    hits: Sequence[Hit]
    first_stage: Floats64
    query: Floats
    vectors: WindowVectors
    crossing: Crossing

    def rank(self) -> tuple[Ranking, tuple[str, ...]]:
        """Return the window's ranking, and for an interleaved one the team of each rank; else no teams.

        Exact matches come first in the order of the whole page, and are no arm's.

        Raises:
            ScoresError: first-stage scores that the fusion is not defined for.
        """
        interleaving = self.plan.interleaving
        if interleaving is None:
            return keep_exact(self._rank_by(self.plan.fusion), self.plan, self.hits), ()
        drafted, teams = self._interleave(interleaving)
        ranking = keep_exact(drafted, self.plan, self.hits)
        exact = np.zeros(len(self.hits), np.bool_) if ranking.exact is None else ranking.exact
        order = ranking.order.tolist()
        return ranking, tuple(NOBODYS if exact[position] else teams[position] for position in order)

    def compare_with(self, shown: Ranking) -> Callable[[], Mapping[str, str]]:
        """Return what computes how far each arm of the plan's shadow is from the shown order."""

        def compare() -> Mapping[str, str]:
            try:
                orders = {name: self._order_whole(fusion) for name, fusion in self.plan.shadow}
            except ScoresError as error:
                _log.info("a shadow order cannot be computed: %s", error)
                return {}
            found = {name: compare_orders(shown.order, order) for name, order in orders.items()}
            return {SHADOW: encode_shadow(found)}

        return compare

    def _interleave(self, interleaving: Interleaving) -> tuple[Ranking, dict[int, str]]:
        """Return the first reranked arm's ranking in the interleaved order, and each position's team."""
        rankings = [None if fusion is None else self._rank_by(fusion) for _, fusion in interleaving.arms]
        orders = [self._own_order() if each is None else each.order for each in rankings]
        coin = build_coin(interleaving.experiment, interleaving.unit, self.plan.query_text)
        drafted = draft_teams(orders[0], orders[1], coin, self.plan.page_end)
        names = [name for name, _ in interleaving.arms]
        teams = {
            position: NOBODYS if team == NO_TEAM else names[team]
            for position, team in zip(drafted.order.tolist(), drafted.teams, strict=True)
        }
        first = next(each for each in rankings if each is not None)
        return replace(first, order=drafted.order), teams

    def _order_whole(self, fusion: ResolvedFusion | None) -> Positions:
        """Return an arm's order with exact matches first."""
        if fusion is None:
            return self._own_order()
        return keep_exact(self._rank_by(fusion), self.plan, self.hits).order

    def _rank_by(self, fusion: ResolvedFusion) -> Ranking:
        """Return the window's ranking by one fusion, without regard to exact matches."""
        ranking = rerank_vectors(
            self.first_stage,
            choose_fusion(fusion.method, fusion.weight, fusion.rank_constant),
            query=self.query,
            vectors=self.vectors,
            crossing=self.crossing,
            feedback=fusion.feedback,
            smoothing=fusion.smoothing,
        )
        plan = replace(self.plan, fusion=fusion)
        return adjust(
            ranking, plan, self.hits, query=self.query, vectors=self.vectors, crossing=self.crossing
        )

    def _own_order(self) -> Positions:
        return np.arange(len(self.hits))

"""The order of one window: its plan's, or two arms' made into one, and those that are compared with it."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from opensearch.fields.vector_field import Hit
from opensearch.search.plan import ArmOrder, Interleaving, Plan
from opensearch.settings.fusion import ResolvedFusion
from plugin.errors import RerankFailedError
from plugin.experiments.attributes import NOBODYS, SHADOW, encode_shadow
from plugin.experiments.order_comparison import compare_orders
from plugin.experiments.team_draft import NO_TEAM, build_coin, draft_teams
from plugin.search.adjustments import adjust, keep_exact
from plugin.search.combination import METHOD, build_features, rank_combined
from plugin.search.hybrid_scores import scale_first_stage
from reranker.arrays import Floats, Floats64, Positions
from reranker.combiner import Combiner
from reranker.crossing import Crossing
from reranker.errors import ScoresError
from reranker.feature_table import FeatureTable
from reranker.fusion import choose_fusion
from reranker.rerank import Ranking, rank, rerank_vectors
from reranker.window_vectors import WindowVectors

_log = logging.getLogger("twinrank.search")


@dataclass(frozen=True)
class QueryScorer:
    """What one bundle scores hits by: the query's (dim,) float32 unit vector, and its crossing layer.

    `weight` is the bundle's own fusion weight, which features are computed with.
    """

    query: Floats
    crossing: Crossing
    weight: float


@dataclass(frozen=True)
class WindowOrdering:
    """Everything by which a window is ordered.

    Attributes:
        plan: the search's.
        hits: the window's, in first-stage order.
        first_stage: (num_hits,) float64.
        vectors: the window's.
        scorers: those of `plan.bundles`, by the bundle's name.
        combiners: those of the proxy, by name.
    """

    plan: Plan
    hits: Sequence[Hit]
    first_stage: Floats64
    vectors: WindowVectors
    scorers: Mapping[str, QueryScorer]
    combiners: Mapping[str, Combiner]

    def rank(self) -> tuple[Ranking, tuple[str, ...]]:
        """Return the window's ranking, and for an interleaved one the team of each rank; else no teams.

        Exact matches come first in the order of the whole page, and are no arm's.

        Raises:
            ScoresError: first-stage scores that the fusion is not defined for.
        """
        interleaving = self.plan.interleaving
        if interleaving is None:
            ranking = self._rank_by(self.plan.fusion, self.scorers[self.plan.bundle])
            return keep_exact(ranking, self.plan, self.hits), ()
        drafted, teams = self._interleave(interleaving)
        ranking = keep_exact(drafted, self.plan, self.hits)
        exact = np.zeros(len(self.hits), np.bool_) if ranking.exact is None else ranking.exact
        order = ranking.order.tolist()
        return ranking, tuple(NOBODYS if exact[position] else teams[position] for position in order)

    def compare_with(
        self, shown: Positions, make_scorer: Callable[[str], QueryScorer]
    ) -> Callable[[], Mapping[str, str]]:
        """Return what computes how far each arm of the plan's shadow is from the (num_hits,) shown order.

        `make_scorer` returns a scorer that is not there yet, by the bundle's name; it may raise
        `RerankFailedError`.
        """

        def compare() -> Mapping[str, str]:
            scorers = dict(self.scorers)
            try:
                for arm in self.plan.shadow:
                    if arm.fusion is not None and arm.bundle not in scorers:
                        scorers[arm.bundle] = make_scorer(arm.bundle)
                orders = {arm.name: self._order_whole(arm, scorers) for arm in self.plan.shadow}
            except (RerankFailedError, ScoresError) as error:
                _log.info("a shadow order cannot be computed: %s", error)
                return {}
            found = {name: compare_orders(shown, order) for name, order in orders.items()}
            return {SHADOW: encode_shadow(found)}

        return compare

    def _interleave(self, interleaving: Interleaving) -> tuple[Ranking, dict[int, str]]:
        """Return the first reranked arm's ranking in the interleaved order, and each position's team."""
        rankings = [self._rank_arm(arm, self.scorers) for arm in interleaving.arms]
        orders = [self.own_order() if each is None else each.order for each in rankings]
        coin = build_coin(interleaving.experiment, interleaving.unit, self.plan.query_text)
        drafted = draft_teams(orders[0], orders[1], coin, self.plan.page_end)
        names = [arm.name for arm in interleaving.arms]
        teams = {
            position: NOBODYS if team == NO_TEAM else names[team]
            for position, team in zip(drafted.order.tolist(), drafted.teams, strict=True)
        }
        first = next(each for each in rankings if each is not None)
        return replace(first, order=drafted.order), teams

    def _order_whole(self, arm: ArmOrder, scorers: Mapping[str, QueryScorer]) -> Positions:
        """Return an arm's order with exact matches first."""
        ranking = self._rank_arm(arm, scorers)
        return self.own_order() if ranking is None else keep_exact(ranking, self.plan, self.hits).order

    def _rank_arm(self, arm: ArmOrder, scorers: Mapping[str, QueryScorer]) -> Ranking | None:
        """Return an arm's ranking, None for OpenSearch's own order."""
        return None if arm.fusion is None else self._rank_by(arm.fusion, scorers[arm.bundle])

    def _rank_by(self, fusion: ResolvedFusion, scorer: QueryScorer) -> Ranking:
        """Return the window's ranking by one fusion, without regard to exact matches."""
        plan = replace(self.plan, fusion=fusion)
        ranking = self._combine(plan, scorer) if fusion.method == METHOD else self._fuse(fusion, scorer)
        if plan.features and ranking.features is None and self.hits:
            ranking = replace(ranking, features=self._build_features(plan, scorer))
        query, crossing = scorer.query, scorer.crossing
        return adjust(ranking, plan, self.hits, query=query, vectors=self.vectors, crossing=crossing)

    def _fuse(self, fusion: ResolvedFusion, scorer: QueryScorer) -> Ranking:
        return rerank_vectors(
            scale_first_stage(self.first_stage, self.plan, fusion),
            choose_fusion(fusion.method, fusion.weight, fusion.rank_constant),
            query=scorer.query,
            vectors=self.vectors,
            crossing=scorer.crossing,
            feedback=fusion.feedback,
            smoothing=fusion.smoothing,
        )

    def _combine(self, plan: Plan, scorer: QueryScorer) -> Ranking:
        """Return the ranking of the plan's combiner; the one before it only says which hits have vectors."""
        fuse = choose_fusion("log_linear", scorer.weight, 1)
        crossing = self.vectors.scores(scorer.query, scorer.crossing)
        ranking = rank(self._scale(plan), crossing, fuse)
        if not self.hits:
            return ranking
        return rank_combined(ranking, plan, self._build_features(plan, scorer), self.combiners)

    def _build_features(self, plan: Plan, scorer: QueryScorer) -> FeatureTable:
        return build_features(
            plan,
            self.hits,
            self._scale(plan),
            query=scorer.query,
            vectors=self.vectors,
            crossing=scorer.crossing,
            weight=scorer.weight,
        )

    def _scale(self, plan: Plan) -> Floats64:
        """Return the first-stage scores as `log_linear` takes them: features are computed with it."""
        return scale_first_stage(self.first_stage, plan, replace(plan.fusion, method="log_linear"))

    def own_order(self) -> Positions:
        """Return OpenSearch's own order, (num_hits,)."""
        return np.arange(len(self.hits))

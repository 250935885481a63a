"""The scores of a ranked window as clients see them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np

from opensearch.search.plan import Plan
from opensearch.search.response import SearchResponse
from opensearch.search.scores import HitScores, RuleScore, SignalScore
from plugin.encoding.model import Model
from plugin.experiments.attributes import DRAFT, NOBODYS, TEAMS, join_names
from plugin.experiments.team_draft import name_draft
from plugin.search.adjustments import count_adjustments
from plugin.search.hybrid_scores import name_first_stage, read_scaled
from plugin.search.signals import read_values
from plugin.telemetry.outcome import SearchOutcome
from reranker.arrays import Floats64
from reranker.rerank import Ranking

_FUSED_BY = {
    "weighted": "weighted: (1 - share) * first-stage score + share * crossing, both 0 to 1",
    "rrf": "rrf: the sum of 1 / (rank_constant + rank) in both orders",
    "none": "none: the probability of the crossing alone",
    "combiner": "combiner: 1 / (1 + exp(-value)) of the value that it gives the hit's features",
}


@dataclass(frozen=True)
class WindowScores:
    """How each hit of a window was scored; hits are named by their first-stage positions.

    `num_stale` counts the vectors of other texts, None if texts were not compared. `teams` has for each rank
    of an interleaved window the arm that a click there counts for, or NOBODYS; it is empty for others.
    `shadow` compares other orders with this one, if the search asks for that.
    """

    response: SearchResponse
    plan: Plan
    model: Model
    ranking: Ranking
    num_stale: int | None = None
    teams: tuple[str, ...] = ()
    shadow: Callable[[], Mapping[str, str]] | None = None

    def __len__(self) -> int:
        """The number of hits in the window."""
        return len(self.ranking.crossing)

    def score(self, position: int) -> HitScores:
        """Return the scores of one hit."""
        crossing = float(self.ranking.crossing[position])
        has_vector = not math.isnan(crossing)
        used = crossing if has_vector else self.ranking.neutral
        probability = float(self.model.crossing.probability(np.array([used], np.float32))[0])
        neighbours = self._neighbours(position)
        return HitScores(
            first_stage=msgspec.json.decode(self.response.hits[position]["_score"], type=float),
            first_stage_rank=position + 1,
            scaled=None if self._scaled is None else float(self._scaled[position]),
            crossing=crossing if has_vector else None,
            neutral=self.ranking.neutral,
            fused=self._shown(float(self.ranking.fused[position]), probability),
            probability=probability,
            fused_by=self._fused_by(is_smoothed=neighbours is not None),
            similarity=self._similarity(position),
            neighbours=neighbours,
            signals=self._signals(position),
            rules=self._rules(position),
            is_demoted=self.ranking.unlikely is not None and bool(self.ranking.unlikely[position]),
            rank_before_diversity=self._rank_before_diversity(position),
            is_exact=self.ranking.exact is not None and bool(self.ranking.exact[position]),
            features=self._features(position),
        )

    def shown(self, position: int) -> float:
        """Return the `_score` of one hit if `score` is `fused` or `probability`."""
        scores = self.score(position)
        return scores.fused if self.plan.settings.score == "fused" else scores.probability

    def highest(self) -> float:
        """Return the highest of these, among the hits that are shown."""
        return max((self.shown(position) for position in self.ranking.order.tolist()), default=0.0)

    def build_outcome(self, stages_ms: Mapping[str, float] | None = None) -> SearchOutcome:
        """Return the outcome of the search whose window this is."""
        return SearchOutcome(
            "applied",
            window=len(self),
            scored=self.ranking.num_scored,
            stale=self.num_stale,
            model=self.model.name,
            bundle=self.model.bundle,
            fallback=self.plan.fallback,
            adjustments=count_adjustments(self.ranking, self.plan),
            hybrid=self.plan.hybrid or "",
            rules=self.plan.rules.describe(len(self.plan.boosts)),
            stages_ms=stages_ms or {},
            attributes=self._describe_teams(),
            deferred=self.shadow,
        )

    @cached_property
    def _scaled(self) -> Floats64 | None:
        """The scores of a hybrid query as they were fused, (num_hits,), None for another query."""
        return read_scaled(self.response, self.plan)

    def _describe_teams(self) -> Mapping[str, str]:
        """Return what is recorded of an interleaved page, nothing for others."""
        interleaving = self.plan.interleaving
        if interleaving is None:
            return {}
        draft = name_draft(interleaving.experiment, interleaving.unit, self.plan.query_text)
        return {TEAMS: join_names(self._page_teams()), DRAFT: draft}

    def _page_teams(self) -> list[str]:
        """Return the teams of the page's hits; a hit beyond the window has none."""
        plan, num_hits = self.plan, len(self.response.hits)
        teams = [*self.teams, *[NOBODYS] * (num_hits - len(self.teams))]
        return teams[plan.page_start : plan.page_end]

    @property
    def feedback(self) -> float:
        """The weight of the similarity to the best hits, 0 if it was not used."""
        return 0.0 if self.ranking.similarity is None else self.plan.fusion.feedback

    @property
    def smoothing(self) -> float:
        """The share of the nearest hits' scores, 0 if it was not used."""
        return 0.0 if self.ranking.neighbours is None else self.plan.fusion.smoothing

    def _shown(self, ranked_by: float, probability: float) -> float:
        """Return a fused value as it is shown, which is never negative.

        `log_linear` is ranked by its logarithm and shown as first_stage * exp(weight * (1 + crossing)), the
        value that `cluster` computes; the first stage of a hybrid query is its scaled score. Feedback
        multiplies it by exp(weight * feedback * (1 + similarity)), and each signal and rule by a factor of at
        least 1. So it is never below the first stage's, nor, smoothed, below the last hit's. `none` is shown
        as its probability, a combiner's value by the logistic function.
        """
        method, weight = self.plan.fusion.method, self.plan.fusion.weight or 0.0
        if method == "log_linear":
            return math.exp(min(ranked_by + weight * (1 + self.feedback), 700.0))
        if method == "combiner":
            return 1 / (1 + math.exp(min(-ranked_by, 700.0)))
        return probability if method == "none" else ranked_by

    def _similarity(self, position: int) -> float | None:
        similarity = self.ranking.similarity
        return None if similarity is None or np.isnan(similarity[position]) else float(similarity[position])

    def _rank_before_diversity(self, position: int) -> int | None:
        """Return the rank of a hit that diversity may have moved, counted from 1; None for others."""
        before = self.ranking.before_diversity
        return None if before is None else 1 + before.tolist().index(position)

    def _features(self, position: int) -> Mapping[str, float] | None:
        """Return what a combiner sees of one hit, if the search asks for it."""
        table = self.ranking.features
        return table.describe_hit(position) if self.plan.features and table is not None else None

    def _signals(self, position: int) -> tuple[SignalScore, ...]:
        """Return what each signal does to one hit."""
        if self.ranking.signals is None:
            return ()
        values = read_values(self.plan, [self.response.hits[position]])
        return tuple(
            SignalScore(signal.field.name, signal.kind, float(value[0]), math.exp(log_factor[position]))
            for signal, value, log_factor in zip(
                self.plan.fusion.signals, values, self.ranking.signals, strict=True
            )
        )

    def _rules(self, position: int) -> tuple[RuleScore, ...]:
        """Return what each boost and bury does to one hit."""
        if self.ranking.boosts is None:
            return ()
        found = zip(self.plan.boosts, self.ranking.boosts[:, position].tolist(), strict=True)
        return tuple(
            RuleScore(each.rule, "bury" if each.is_bury else "boost", math.exp(log_factor))
            for each, log_factor in found
        )

    def _neighbours(self, position: int) -> float | None:
        neighbours = self.ranking.neighbours
        if neighbours is None or np.isnan(neighbours[position]):
            return None
        return self._shown(float(neighbours[position]), 0.0)

    def _fused_by(self, *, is_smoothed: bool) -> str:
        formula = self._formula(is_smoothed=is_smoothed)
        if self.ranking.signals is not None:
            formula = f"{formula}; then times the signals' factors"
        return formula if self.ranking.boosts is None else f"{formula}; then times the rules' factors"

    def _formula(self, *, is_smoothed: bool) -> str:
        fusion, feedback = self.plan.fusion, self.feedback
        method, share = fusion.method, fusion.smoothing if is_smoothed else 0.0
        if method == "log_linear":
            vote = f" + {feedback:g} * (1 + similarity)" if feedback else ""
            smooth = f", to the power of {1 - share:g}, * neighbours, to that of {share:g}" if share else ""
            first = name_first_stage(self.plan)
            return f"log_linear: {first} * exp({fusion.weight:g} * (1 + crossing{vote})){smooth}"
        vote = f", where the crossing is crossing + {feedback:g} * similarity" if feedback else ""
        smooth = f"; then {1 - share:g} * that + {share:g} * neighbours" if share else ""
        return f"{_FUSED_BY[method]}{vote}{smooth}"

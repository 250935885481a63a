"""The scores of a ranked window as clients see them."""

import math
from dataclasses import dataclass

import msgspec
import numpy as np

from opensearch.search.response import SearchResponse
from opensearch.search.scores import HitScores
from opensearch.settings.table import RerankSettings
from plugin.encoding.model import Model
from reranker.rerank import Ranking

_FUSED_BY = {
    "weighted": "weighted: (1 - share) * first-stage score + share * crossing, both 0 to 1",
    "rrf": "rrf: the sum of 1 / (rank_constant + rank) in both orders",
    "none": "none: the probability of the crossing alone",
}


@dataclass(frozen=True)
class WindowScores:
    """Tells how each hit of a window was scored; hits are named by their first-stage positions.

    `num_stale` counts the vectors of other texts, None where texts were not compared.
    """

    response: SearchResponse
    settings: RerankSettings
    model: Model
    ranking: Ranking
    num_stale: int | None = None

    def __len__(self) -> int:
        """The number of hits in the window."""
        return len(self.ranking.order)

    def of(self, position: int) -> HitScores:
        """Return the scores of one hit."""
        crossing = float(self.ranking.crossing[position])
        has_vector = not math.isnan(crossing)
        used = crossing if has_vector else self.ranking.neutral
        probability = float(self.model.crossing.probability(np.array([used], np.float32))[0])
        neighbours = self._neighbours(position)
        return HitScores(
            first_stage=msgspec.json.decode(self.response.hits[position]["_score"], type=float),
            first_stage_rank=position + 1,
            crossing=crossing if has_vector else None,
            neutral=self.ranking.neutral,
            fused=self._shown(float(self.ranking.fused[position]), probability),
            probability=probability,
            fused_by=self._fused_by(is_smoothed=neighbours is not None),
            similarity=self._similarity(position),
            neighbours=neighbours,
        )

    def shown(self, position: int) -> float:
        """Return the `_score` of one hit where `score` is `fused` or `probability`."""
        scores = self.of(position)
        return scores.fused if self.settings.score == "fused" else scores.probability

    def highest(self) -> float:
        """Return the highest of these."""
        return max((self.shown(position) for position in range(len(self))), default=0.0)

    @property
    def weight(self) -> float | None:
        """The weight that was used, None where the method has none of its own and none is set."""
        set_weight = self.settings.fusion.weight
        is_log_linear = self.settings.fusion.method == "log_linear"
        return self.model.fusion.weight if set_weight is None and is_log_linear else set_weight

    def _shown(self, ranked_by: float, probability: float) -> float:
        """Return a fused value as it is shown, which is never negative.

        `log_linear` is ranked by its logarithm and shown as first_stage * exp(weight * (1 + crossing)), the
        value that `cluster` computes, and with feedback times exp(weight * feedback * (1 + similarity)), so
        never below the first stage's, smoothed never below the last hit's; `none` is shown as its
        probability.
        """
        method = self.settings.fusion.method
        if method == "log_linear":
            return math.exp(min(ranked_by + (self.weight or 0.0) * (1 + self.feedback), 700.0))
        return probability if method == "none" else ranked_by

    def _similarity(self, position: int) -> float | None:
        similarity = self.ranking.similarity
        return None if similarity is None or np.isnan(similarity[position]) else float(similarity[position])

    def _neighbours(self, position: int) -> float | None:
        neighbours = self.ranking.neighbours
        if neighbours is None or np.isnan(neighbours[position]):
            return None
        return self._shown(float(neighbours[position]), 0.0)

    @property
    def feedback(self) -> float:
        """The weight of the similarity to the best hits, 0 if it was not used."""
        return 0.0 if self.ranking.similarity is None else self.model.feedback(self.settings.fusion)

    @property
    def smoothing(self) -> float:
        """The share of the nearest hits' scores, 0 if it was not used."""
        return 0.0 if self.ranking.neighbours is None else self.model.smoothing(self.settings.fusion)

    def _fused_by(self, *, is_smoothed: bool) -> str:
        method, feedback = self.settings.fusion.method, self.feedback
        share = self.model.smoothing(self.settings.fusion) if is_smoothed else 0.0
        if method == "log_linear":
            vote = f" + {feedback:g} * (1 + similarity)" if feedback else ""
            smooth = f", to the power of {1 - share:g}, * neighbours, to that of {share:g}" if share else ""
            return f"log_linear: first-stage score * exp({self.weight:g} * (1 + crossing{vote})){smooth}"
        vote = f", where the crossing is crossing + {feedback:g} * similarity" if feedback else ""
        smooth = f"; then {1 - share:g} * that + {share:g} * neighbours" if share else ""
        return f"{_FUSED_BY[method]}{vote}{smooth}"

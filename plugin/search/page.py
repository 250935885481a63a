"""The page of a reranked search: which hits, in which order, with which scores, written for the client."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw

from opensearch.fields.redaction import redact_part
from opensearch.fields.vector_field import Hit, vector_field
from opensearch.rawjson.style import write_value
from opensearch.search.plan import Plan
from opensearch.search.response import SearchResponse
from opensearch.search.scores import add_details, add_explanation, copy_score, format_score, set_score
from plugin.encoding.model import Model
from plugin.search.adjustments import count_adjustments
from plugin.search.scores import WindowScores

HitsAt = Callable[[Sequence[int]], list[Hit]]
"""First-stage positions to hits as the client asked for them."""

_DEPTH_IN_A_HIT = 4
_WITH_HITS = ("aggregations", "suggest")
"""Members beside the hits that may hold documents: `top_hits`, and the options of a completion."""


@dataclass(frozen=True)
class RerankedPage:
    """Writes the page of one search, reranked or, if `scores` is None, in first-stage order."""

    response: SearchResponse
    plan: Plan
    model: Model
    scores: WindowScores | None

    def write(self, hits_at: HitsAt) -> bytes:
        """Return the answer's body."""
        order = self._order()[self.plan.page_start : self.plan.page_end]
        hits = [
            self._cut(self._explain(self._score(hit, position, rank), position, rank))
            for rank, (hit, position) in enumerate(
                zip(hits_at(order), order, strict=True), self.plan.page_start
            )
        ]
        return self.response.with_hits(
            hits,
            max_score=self._max_score(),
            total=self._total(),
            beside=self._members_beside(),
            filter_path=self.plan.filter_path,
        )

    def _order(self) -> list[int]:
        """Return first-stage positions, best first: the window's as they were ranked, then the others."""
        if self.scores is None:
            return list(range(len(self.response.hits)))
        ranked: list[int] = self.scores.ranking.order.tolist()
        if self.plan.settings.cuts:
            return ranked
        return [*ranked, *range(len(ranked), len(self.response.hits))]

    def _score(self, hit: Hit, position: int, rank: int) -> Hit:
        """Give the hit its `_score`.

        By default the k-th hit carries the k-th highest first-stage score: values are OpenSearch's own,
        `max_score` stays right, and hits beyond the window stay below.
        """
        settings = self.plan.settings
        if settings.score == "first_stage" or self.scores is None:
            return copy_score(hit, self.response.hits[rank])
        if position < len(self.scores):
            return set_score(hit, format_score(self.scores.shown(position)))
        if settings.score == "fused" and settings.fusion.method == "log_linear":
            return copy_score(hit, self.response.hits[position])  # a fused score is at least as high
        return set_score(hit, format_score(0))

    def _explain(self, hit: Hit, position: int, rank: int) -> Hit:
        """Say how the hit was scored, if the client asks for that."""
        plan, style = self.plan, self.response.style
        if self.scores is None or position >= len(self.scores) or not (plan.explains or plan.details):
            return hit
        scores = self.scores.score(position)
        if plan.explains:
            hit = add_explanation(hit, scores, style, _DEPTH_IN_A_HIT)
        return add_details(hit, scores, rank + 1, style, _DEPTH_IN_A_HIT) if plan.details else hit

    def _total(self) -> int | None:
        """Return the number of hits of a result that is cut."""
        return len(self._order()) if self.scores is not None and self.plan.settings.cuts else None

    def _max_score(self) -> Raw | None:
        if self._total() == 0:
            return Raw(b"null")
        if self.scores is None or self.plan.settings.score == "first_stage":
            return None
        return format_score(self.scores.highest())

    def _members_beside(self) -> dict[str, Raw]:
        """Return what is changed or added beside the hits."""
        top = self.response.top
        beside = (
            {}
            if self.plan.keep_vector
            else {
                name: redact_part(top[name], self._fields_of, self.response.style, 1, name)
                for name in _WITH_HITS
                if name in top
            }
        )
        return {**beside, "ext": self._describe_window()} if self.plan.details else beside

    def _describe_window(self) -> Raw:
        """Return the answer's `ext` with what was used for all hits alike."""
        settings, scores = self.plan.settings, self.scores
        values: dict[str, Any] = {
            "query_text": self.plan.query_text,
            "model": self.model.name,
            "bundle": self.model.bundle,
            "window_size": 0 if scores is None else len(scores),
            "scored": 0 if scores is None else scores.ranking.num_scored,
            "fusion": settings.fusion.method,
            "weight": settings.fusion.weight if scores is None else self.plan.fusion.weight,
            "feedback": 0.0 if scores is None else scores.feedback,
            "smoothing": 0.0 if scores is None else scores.smoothing,
        }
        values |= {} if self.plan.hybrid is None else {"hybrid": self.plan.hybrid}
        if self.plan.fusion.method == "combiner":
            values["combiner"] = self.plan.fusion.combiner
        adjustments = {} if scores is None else count_adjustments(scores.ranking, self.plan)
        values |= {"adjustments": adjustments} if adjustments else {}
        style = self.response.style
        written = {name: write_value(value, style, 3) for name, value in values.items()}
        of_others = msgspec.json.decode(self.response.top.get("ext", b"{}"), type=dict[str, Raw])
        return style.object({**of_others, "rerank": style.object(written, 2)}, 1)

    def _cut(self, hit: Hit) -> Hit:
        field, style = vector_field(self.plan.settings.field), self.response.style
        for added in self.plan.added_doc_values:
            hit = vector_field(added.name).remove_from_fields(hit, style)
        if self.plan.keep_vector:
            return field.remove_from_fields(hit, style) if self.plan.needs_docvalue else hit
        cut = hit
        for name in self.plan.settings.fields:
            cut = vector_field(name).remove(cut, style)
        if "inner_hits" not in cut:
            return cut
        inner = redact_part(cut["inner_hits"], self._fields_of, style, _DEPTH_IN_A_HIT)
        return {**cut, "inner_hits": inner}

    def _fields_of(self, _index: str | None) -> tuple[str, ...]:
        return self.plan.settings.fields

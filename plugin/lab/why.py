"""Why a hit is where it is: what each part adds to its score, against the average of the hits beside it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plugin.compare.score_parts import NUM_DIGITS, ScoreParts, find_score_parts

LABELS = {
    "first_stage": "OpenSearch's score",
    "crossing": "Meaning",
    "feedback": "Likeness to the best hits",
    "smoothing": "Similar hits",
    "signals": "Signals",
    "rules": "Rules",
}
"""The parts of a score in words."""

_NOTICEABLE = 0.05
"""A smaller difference from the average is shown as 0.1 or less, and explains nothing."""


@dataclass(frozen=True)
class ScoredHit:
    """One hit of a reranked page: its scores, None if the hit was not scored, and the parts of its score."""

    scores: Mapping[str, Any] | None
    parts: ScoreParts | None


def score_hits(hits: Sequence[dict[str, Any]], used: Mapping[str, Any] | None) -> list[ScoredHit]:
    """Return each hit of a page that was asked for with `ext.rerank.explain`."""
    return [_score_hit(hit, used) for hit in hits]


def describe_scores(hits: Sequence[ScoredHit]) -> list[dict[str, Any] | None]:
    """Return each hit's scores and parts as JSON values, None for a hit that was not scored.

    A part is `adds`, its share of the score, and `against_mean`, how much more that is than the mean of the
    hits that have it.
    """
    means = _find_means(hits)
    return [_describe(hit, means) for hit in hits]


def _score_hit(hit: dict[str, Any], used: Mapping[str, Any] | None) -> ScoredHit:
    scores = hit.get("_rerank")
    if not scores or not used:
        return ScoredHit(None, None)
    return ScoredHit(scores, find_score_parts(scores, used))


def _find_means(hits: Sequence[ScoredHit]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for hit in hits:
        for name, value in hit.parts.shares.items() if hit.parts else ():
            if math.isfinite(value):
                found.setdefault(name, []).append(value)
    return {name: sum(values) / len(values) for name, values in found.items()}


def _describe(hit: ScoredHit, means: Mapping[str, float]) -> dict[str, Any] | None:
    if hit.scores is None or hit.parts is None:
        return None
    above = {name: value - means[name] for name, value in hit.parts.shares.items() if math.isfinite(value)}
    parts = [
        {
            "name": name,
            "label": LABELS[name],
            "adds": _round(value),
            "against_mean": _round(above.get(name, math.nan)),
        }
        for name, value in hit.parts.shares.items()
    ]
    return {
        **hit.scores,
        "total": _round(hit.parts.total),
        "parts": parts,
        "why": _explain(hit.scores, above),
    }


def _explain(scores: Mapping[str, Any], above: Mapping[str, float]) -> str:
    """Return a sentence on the move, and on the part that differs most from the average in its direction."""
    rank, before = scores["rank"], scores["first_stage_rank"]
    moved = before - rank
    if not moved:
        told = f"Stays at {rank}."
    else:
        told = f"{'Up' if moved > 0 else 'Down'} {abs(moved)}, from {before} to {rank}."
    for rule in _list_rules(scores):
        told = f"{told} {rule}"
    if scores["crossing"] is None:
        return f"{told} It has no vector, so it takes the window's median for its meaning."
    sign = -1 if moved < 0 else 1
    name = max(above, key=lambda each: sign * above[each], default=None)
    if name is None or sign * above[name] < _NOTICEABLE:
        return told
    more = "more" if sign > 0 else "less"
    return f"{told} {LABELS[name]} adds {abs(above[name]):.1f} {more} than to the average hit here."


def _list_rules(scores: Mapping[str, Any]) -> Iterator[str]:
    """Yield what placed the hit beside its score."""
    if scores.get("exact"):
        yield "It comes first as an exact match."
    if scores.get("demoted"):
        yield "It comes last, since its probability is below the least."
    if "rank_before_diversity" in scores:
        yield f"Diversity moved it from {scores['rank_before_diversity']}."


def _round(value: float) -> float | None:
    return round(value, NUM_DIGITS) if math.isfinite(value) else None

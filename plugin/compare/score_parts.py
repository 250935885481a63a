"""What each part adds to a hit's score, in numbers that a person can compare.

A `log_linear` score is first stage x exp(weight x (1 + crossing + feedback x (1 + similarity))), smoothed, x
the factors of signals and of rules. Its size says nothing, but its logarithm is a sum. What is the same for
every hit is left out of the sum.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NUM_DIGITS = 4
"""Digits behind the point in JSON."""


@dataclass(frozen=True)
class ScoreParts:
    """A hit's score, and what adds up to it.

    `total` orders the hits. `shares` maps `first_stage`, `crossing`, `feedback`, `smoothing`, `signals` and
    `rules` to their summands; it is empty for a fusion method that is no sum.
    """

    total: float
    shares: Mapping[str, float]

    def as_json(self) -> dict[str, float | None]:
        """Return the total and the shares; None for a number that JSON does not have."""
        values = {"total": self.total, **self.shares}
        return {name: round(x, NUM_DIGITS) if math.isfinite(x) else None for name, x in values.items()}

    def format_sum(self) -> str:
        """Return `11.1 = 0.9 + 10.2`, or the total alone."""
        if not self.shares:
            return f"{self.total:.4f}"
        first, *others = self.shares.values()
        summands = [f"{first:.1f}", *(f"{'-' if x < 0 else '+'} {abs(x):.1f}" for x in others)]
        return f"{self.total:.1f} = {' '.join(summands)}"


def find_score_parts(scored: Mapping[str, Any], used: Mapping[str, Any]) -> ScoreParts:
    """Return a hit's parts from its `_rerank` and the response's `ext.rerank` (`ext.rerank.explain`).

    The crossing of a hit without a vector is the window's median. The first stage of a hybrid query counts by
    its scaled score.
    """
    fused = scored["fused"]  # None if it is larger than a number of OpenSearch can be
    if used["fusion"] != "log_linear":
        return ScoreParts(math.inf if fused is None else fused, {})
    weight, feedback = used["weight"] or 0.0, used.get("feedback") or 0.0
    shares = {"first_stage": _log(scored.get("scaled_score", scored["first_stage_score"]))}
    if scored["crossing"] is not None:
        shares["crossing"] = weight * scored["crossing"]
    if scored.get("similarity") is not None:
        shares["feedback"] = weight * feedback * scored["similarity"]
    factors = {
        name: sum(_log(each["factor"]) for each in scored[name])
        for name in ("signals", "rules")
        if scored.get(name)
    }
    shares |= factors
    known = sum(shares.values())
    if fused is None:
        return ScoreParts(known, shares)
    total = _log(fused) - weight * (1 + feedback)
    rest = total - known if math.isfinite(total) else 0.0
    if scored["crossing"] is None:
        shares["crossing"] = rest
    elif scored.get("neighbours") is not None:
        shares["smoothing"] = rest
    return ScoreParts(total, shares)


def _log(value: float) -> float:
    """Return the logarithm. A score of 0 has none and comes last."""
    return math.log(value) if value > 0 else -math.inf

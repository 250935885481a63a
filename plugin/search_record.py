"""What became of one search, read from the headers that its client sees: log and counters agree with them."""

from dataclasses import dataclass

from plugin.http_messages import Answer
from plugin.stage_clock import server_timing

OUTCOMES = ("applied", "skipped", "refused")
"""What may become of a search; what else `Rerank-Status` says is of a write."""


@dataclass(frozen=True)
class SearchRecord:
    """One search: `outcome` is `applied`, `skipped` or `refused`; `reason` is empty where it was applied.

    `window` and `scored` are numbers of hits, 0 where nothing was scored here; `stages_ms` has `total` last.
    """

    outcome: str
    reason: str
    window: int
    scored: int
    stages_ms: dict[str, float]

    @classmethod
    def of(cls, answer: Answer) -> "SearchRecord | None":
        """Return the record of an answer, None where it answers no search."""
        headers = {name.lower(): value for name, value in answer.headers}
        if "rerank-status" not in headers:
            return None
        outcome, *told = (part.strip() for part in headers["rerank-status"].split(";"))
        if outcome not in OUTCOMES:
            return None
        values = dict(part.split("=", 1) for part in told if "=" in part)
        return cls(
            outcome,
            values.get("reason", ""),
            _number(values.get("window", "")),
            _number(values.get("scored", "")),
            server_timing(headers.get("server-timing", "")),
        )


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0

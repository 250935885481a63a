"""What became of one search, read from the headers that its client sees: log and counters agree with them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from plugin.http.messages import Response
from plugin.telemetry.rerank_status import APPLIED, REFUSED, read_items
from plugin.upstream.search_client import read_server_timing

_MAX_DIGITS = 18
OUTCOMES = ("applied", "skipped", "refused")
"""What may become of a search; what else `Rerank-Status` says is of a write."""


@dataclass(frozen=True)
class SearchRecord:
    """One search, or several at once: `outcome` is `applied`, `skipped` or `refused`.

    `reason` is empty where it was applied. Of several, `items` counts each outcome with its reason, and
    `outcome` is `applied` where one of them was.

    `window` and `scored` are numbers of hits, 0 where nothing was scored here; `stages_ms` has `total` last.
    """

    outcome: str
    reason: str
    window: int
    scored: int
    stages_ms: dict[str, float]
    items: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @classmethod
    def of(cls, answer: Response) -> "SearchRecord | None":
        """Return the record of an answer, None where it answers no search."""
        headers = {name.lower(): value for name, value in answer.headers}
        if "rerank-status" not in headers:
            return None
        stages_ms = read_server_timing(headers.get("server-timing", ""))
        items = {_outcome(word): count for word, count in read_items(headers["rerank-status"]).items()}
        if items:
            return cls(min(outcome for outcome, _ in items), "", 0, 0, stages_ms, items)
        outcome, *told = (part.strip() for part in headers["rerank-status"].split(";"))
        if outcome not in OUTCOMES:
            return None
        values = dict(part.split("=", 1) for part in told if "=" in part)
        return cls(
            outcome,
            values.get("reason", ""),
            _number(values.get("window", "")),
            _number(values.get("scored", "")),
            stages_ms,
        )


def _outcome(word: str) -> tuple[str, str]:
    """Return the outcome and the reason that an item's word stands for."""
    return ("applied", "") if word == APPLIED else ("refused" if word == REFUSED else "skipped", word)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < _MAX_DIGITS else 0

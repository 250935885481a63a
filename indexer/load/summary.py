"""The result of an indexing run, in numbers."""

from dataclasses import dataclass, field
from typing import Any

from indexer.enricher import Outcome


@dataclass(frozen=True)
class Rejection:
    """A line that was not indexed: its number, why, and its bytes."""

    line: int
    reason: str
    raw: bytes

    def as_json(self) -> dict[str, Any]:
        """Return number, reason and line; bytes that are no UTF-8 are lone surrogates, U+DC80 to U+DCFF."""
        raw = self.raw.decode("utf-8", "surrogateescape")
        return {"line": self.line, "reason": self.reason, "raw": raw}


@dataclass
class Summary:
    """Counts, which grow while the run goes on. `stopped` says why it ended before the input did."""

    lines: int = 0
    indexed: int = 0
    rejected: int = 0
    without_id: int = 0
    unchanged: int = 0
    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    seconds: float = 0.0
    stopped: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether every line of the input was indexed."""
        return self.rejected == 0 and self.stopped is None

    def in_words(self) -> str:
        """Return the result for people, a few lines."""
        rate = self.indexed / self.seconds if self.seconds else 0.0
        counts = " ".join(f"{outcome.value}={number}" for outcome, number in self.outcomes.items())
        words = [
            f"{self.indexed} of {self.lines} documents indexed in {self.seconds:.1f} s ({rate:.0f}/s):"
            f" {counts}"
        ]
        if self.unchanged:
            words.append(
                f"{self.unchanged} of them were stored already, value for value, and were not written"
            )
        if self.rejected:
            words.append(f"{self.rejected} lines rejected")
        if self.without_id:
            words.append(
                f"{self.without_id} documents had no _id and got new ones: a second run would add them again"
            )
        if self.stopped:
            words.append(
                f"Stopped before the end: {self.stopped}. What was indexed stays; run the same command"
                " again: it encodes only what is missing"
            )
        return "\n".join(words)

    def as_json(self) -> dict[str, Any]:
        """Return the machine-readable form."""
        return {
            "lines": self.lines,
            "indexed": self.indexed,
            **{outcome.value: number for outcome, number in self.outcomes.items()},
            "unchanged": self.unchanged,
            "rejected": self.rejected,
            "without_id": self.without_id,
            "seconds": round(self.seconds, 3),
            "stopped": self.stopped,
        }

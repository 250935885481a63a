"""What an indexing run did, in numbers."""

from dataclasses import dataclass, field
from typing import Any

from indexer.enrich import Outcome


@dataclass(frozen=True)
class Rejection:
    """A line that was not indexed: its number, why, and its bytes."""

    line: int
    reason: str
    raw: bytes


@dataclass
class Summary:
    """Counts, which grow while the run goes on. `stopped` says why it ended before the input did."""

    lines: int = 0
    indexed: int = 0
    rejected: int = 0
    without_id: int = 0
    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    seconds: float = 0.0
    stopped: str | None = None

    @property
    def complete(self) -> bool:
        """Whether every line of the input was indexed."""
        return self.rejected == 0 and self.stopped is None

    def as_json(self) -> dict[str, Any]:
        """Return the machine-readable form."""
        return {
            "lines": self.lines,
            "indexed": self.indexed,
            **{outcome.value: number for outcome, number in self.outcomes.items()},
            "rejected": self.rejected,
            "without_id": self.without_id,
            "seconds": round(self.seconds, 3),
            "stopped": self.stopped,
        }

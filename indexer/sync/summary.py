"""The result of a sync, in numbers."""

from dataclasses import dataclass, field
from typing import Any

from indexer.enricher import Outcome

MAX_SAMPLES = 10


@dataclass(frozen=True)
class Lag:
    """How far the vectors are behind: operations not yet checked, and the age of the oldest of them."""

    operations: int = 0
    seconds: float = 0.0


@dataclass
class SyncSummary:
    """Counts, which grow while the sync goes on.

    `checked` documents were read; of them `current` needed nothing, `written` were repaired (a vector made,
    or an old one taken away), `conflicts` had been changed or deleted since: their newer operation is looked
    at next. `rejected` could not be repaired, with some ids and reasons in `samples`. `started_over` lists
    shards whose checkpoint was no longer valid. `passed` operations of the feed were checked, `pending` are
    left: the share that is done and the time left follow from them. `blocked` says of indices that must be
    written to, by name, why they cannot be. `lag` is None until the shards were visited, `missing` until
    documents with a source field and without a vector were counted. `documents` were to be checked at the
    start; None if they were not counted. Of a backfill's `slice`, such as 2/4, `slices_done` is how many of
    all slices are done.
    """

    checked: int = 0
    current: int = 0
    written: int = 0
    conflicts: int = 0
    rejected: int = 0
    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    samples: list[dict[str, str]] = field(default_factory=list)
    started_over: list[str] = field(default_factory=list)
    seconds: float = 0.0
    lag: Lag | None = None
    missing: int | None = None
    blocked: dict[str, str] = field(default_factory=dict)
    stopped: str | None = None
    passed: int = 0
    pending: int = 0
    documents: int | None = None
    slice: str = ""
    slices_done: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether nothing was rejected or blocked, and nothing ended the run early."""
        return self.rejected == 0 and not self.blocked and self.stopped is None

    def reject(self, index: str, document_id: str, reason: str) -> None:
        """Count a document that cannot be repaired, and keep the first of them."""
        self.rejected += 1
        if len(self.samples) < MAX_SAMPLES:
            self.samples.append({"_index": index, "_id": document_id, "reason": reason})

    def in_words(self) -> str:
        """Return the result for people, a few lines."""
        rate = self.checked / self.seconds if self.seconds else 0.0
        words = [
            f"{self.checked} documents checked in {self.seconds:.1f} s ({rate:.0f}/s):"
            f" {self.current} current, {self.written} written ({self.outcomes[Outcome.ENCODED]} encoded),"
            f" {self.conflicts} changed meanwhile, {self.outcomes[Outcome.NO_TEXT]} without text",
            f"{self.slices_in_words() if self.slice else 'lag: ' + self.lag_in_words()};"
            f" missing: {self.missing_in_words()}",
        ]
        words += [f"{index} cannot be written to: {problem}" for index, problem in self.blocked.items()]
        words += [f"started over: {reason}" for reason in self.started_over]
        if self.rejected:
            words.append(f"{self.rejected} documents could not be repaired:")
            words += [f"  {one['_index']}/{one['_id']}: {one['reason']}" for one in self.samples]
        if self.stopped:
            words.append(
                f"Stopped before the end: {self.stopped}. Run the same command again: it goes on there"
            )
        return "\n".join(words)

    def lag_in_words(self) -> str:
        """Return how far sync is behind; that is not known before the first look."""
        if self.lag is None:
            return "not known yet"
        return f"{self.lag.operations} operations, {self.lag.seconds:.1f} s"

    def slices_in_words(self) -> str:
        """Return which slice this is, and how many are done."""
        return f"slice {self.slice}: {self.slices_done} of {self.slice.partition('/')[2]} slices are done"

    def missing_in_words(self) -> str:
        """Return how many documents have text and no vector, when they were last counted."""
        return "not counted" if self.missing is None else f"{self.missing} documents without a vector"

    def as_json(self) -> dict[str, Any]:
        """Return the machine-readable form."""
        return {
            "checked": self.checked,
            "current": self.current,
            "written": self.written,
            **{outcome.value: number for outcome, number in self.outcomes.items()},
            "conflicts": self.conflicts,
            "rejected": self.rejected,
            "samples": self.samples,
            "started_over": self.started_over,
            "seconds": round(self.seconds, 3),
            "lag_operations": None if self.lag is None else self.lag.operations,
            "lag_seconds": None if self.lag is None else round(self.lag.seconds, 3),
            "missing": self.missing,
            "blocked": self.blocked,
            "stopped": self.stopped,
            **({"slice": self.slice, "slices_done": self.slices_done} if self.slice else {}),
        }

"""What the proxy made of a search, or of each item of several: decided once, and carried by the response.

Headers, log line, counters, span, explanation and page are rendered from it.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from plugin.http.headers import Headers
from plugin.http.messages import Response
from plugin.telemetry.rerank_status import clean_reason, render_items

Result = Literal["applied", "skipped", "refused"]

APPLIED, SKIPPED, REFUSED = "applied", "skipped", "refused"

BAD_CONTROLS = "ext"
"""The reason of a search that is refused: its `ext.rerank` is not what it must be."""

OVERLOADED = "overloaded"
"""The reason of a search that is not reranked because too much waits in its worker."""

OTHER = "other"
"""The reason of the items that come after MAX_REASONS different ones."""

MAX_REASONS = 64
"""Different reasons that the items of one request are counted by: a client may make reasons up."""


@dataclass(frozen=True)
class SearchOutcome:
    """What the proxy made of one search.

    Attributes:
        result: whether it was reranked, passed through, or refused for its `ext.rerank`.
        reason: why it was not reranked, empty if it was; a word of at most 64 characters.
        window: how many hits were scored in the proxy; `scored` of them have a usable vector.
        stale: how many vectors belong to other texts; None if texts were not compared.
        shard_window: how many hits of each shard OpenSearch itself rescored.
        model: the name of the bundle; `bundle` has its version too: `NAME@VERSION`.
        adjustments: what else made the order, with a count each, such as `signals`.
        hybrid: how the scores of a hybrid query were normalised, empty for another query.
        rules: what rules did, such as `hide:2,boost:1`; `none` if they could not be applied.
        fallback: why the proxy scored the hits though the settings say that OpenSearch does.
        stages_ms: milliseconds by stage, `total` last; empty for an item of several.
        attributes: what is recorded beside it in UBI's `query_attributes`, by names such as `twinrank.arm`.
        deferred: computes further attributes, after the answer; None if there are none.
        experiment: the name of the experiment that it is part of, or why it is not; `arm` is empty then.
    """

    result: Result
    reason: str = ""
    window: int = 0
    scored: int = 0
    stale: int | None = None
    shard_window: int = 0
    model: str = ""
    bundle: str = ""
    rules: str = ""
    fallback: str | None = None
    stages_ms: Mapping[str, float] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    adjustments: Mapping[str, int] = field(default_factory=dict)
    hybrid: str = ""
    deferred: Callable[[], Mapping[str, str]] | None = field(default=None, compare=False)
    experiment: str = ""
    arm: str = ""

    @classmethod
    def skipped(
        cls, reason: str, stages_ms: Mapping[str, float] | None = None, *, rules: str = ""
    ) -> "SearchOutcome":
        """Return the outcome of a search that was passed through; a client may have made the reason up."""
        return cls("skipped", clean_reason(reason), stages_ms=stages_ms or {}, rules=rules)

    @classmethod
    def refused(cls) -> "SearchOutcome":
        """Return the outcome of a search that was refused."""
        return cls("refused", BAD_CONTROLS)

    @property
    def word(self) -> str:
        """APPLIED, or the reason: the word for an item of several."""
        return self.reason or self.result

    @property
    def status(self) -> str:
        """The value of `Rerank-Status`."""
        arm = f"; arm={self.arm}" if self.arm else ""
        return f"{self._result}; experiment={self.experiment}{arm}" if self.experiment else self._result

    @property
    def _result(self) -> str:
        if self.result != APPLIED:
            return f"{self.result}; reason={self.reason}{self._ruled}"
        if self.shard_window:
            window = f"window={self.shard_window}/shard{self._adjusted}{self._ruled}"
            return f"applied; {window}; {self._scored_by}; execution=cluster"
        stale = "" if self.stale is None else f"; stale={self.stale}"
        fallback = "" if self.fallback is None else f"; fallback={self.fallback}"
        hybrid = f"; hybrid={self.hybrid}" if self.hybrid else ""
        found = f"window={self.window}; scored={self.scored}{stale}{hybrid}{self._adjusted}{self._ruled}"
        return f"applied; {found}; {self._scored_by}; execution=sidecar{fallback}"

    @property
    def _adjusted(self) -> str:
        return "".join(f"; {name}={count}" for name, count in self.adjustments.items())

    @property
    def _ruled(self) -> str:
        return f"; rules={self.rules}" if self.rules else ""

    @property
    def _scored_by(self) -> str:
        return f"model={self.model}; bundle={self.bundle}"

    @property
    def server_timing(self) -> str:
        """The value of `Server-Timing` (W3C: durations in milliseconds)."""
        return ", ".join(f"{name};dur={ms:.2f}" for name, ms in self.stages_ms.items())

    def counts(self) -> Mapping[tuple[str, str], int]:
        """Return how many searches have which result and reason."""
        return {(self.result, self.reason): 1}

    def headers(self) -> Headers:
        """Return what tells a client."""
        return _headers(self.status, self.server_timing)


@dataclass(frozen=True)
class MultiSearchOutcome:
    """What the proxy made of the items of an `_msearch`, in their order.

    `indices` has the indices that each item searches, as a path names them.
    """

    items: tuple[SearchOutcome, ...]
    indices: tuple[str, ...]
    stages_ms: Mapping[str, float]
    reason: str = field(default="", init=False)
    window: int = field(default=0, init=False)
    scored: int = field(default=0, init=False)

    @property
    def result(self) -> Result:
        """`applied` if one of the items was, else `refused` if one was."""
        return min((item.result for item in self.items), default="skipped")

    @property
    def status(self) -> str:
        """The value of `Rerank-Status`."""
        results = Counter(item.result for item in self.items)
        counts = f"applied={results['applied']}; skipped={results['skipped']}"
        if results["refused"]:
            counts += f"; refused={results['refused']}"
        words = [item.word for item in self.items]
        return f"{counts}; items={render_items(words)}" if words else counts

    @property
    def server_timing(self) -> str:
        """The value of `Server-Timing`."""
        return ", ".join(f"{name};dur={ms:.2f}" for name, ms in self.stages_ms.items())

    def counts(self) -> Mapping[tuple[str, str], int]:
        """Return how many items have which result and reason, MAX_REASONS of them, and OTHER."""
        found: Counter[tuple[str, str]] = Counter()
        for item in self.items:
            each = (item.result, item.reason)
            found[each if each in found or len(found) < MAX_REASONS else (item.result, OTHER)] += 1
        return found

    def headers(self) -> Headers:
        """Return what tells a client."""
        return _headers(self.status, self.server_timing)


AnyOutcome = SearchOutcome | MultiSearchOutcome


def outcome_of(response: Response) -> AnyOutcome | None:
    """Return the outcome that a response carries; None if it answers no search."""
    outcome = response.outcome
    return outcome if isinstance(outcome, SearchOutcome | MultiSearchOutcome) else None


def _headers(status: str, server_timing: str) -> Headers:
    timing = (("Server-Timing", server_timing),) if server_timing else ()
    return (("Rerank-Status", status), *timing)

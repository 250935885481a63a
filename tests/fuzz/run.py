"""Many inputs through every target, each within its time: what broke a promise, how long each took."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from types import FrameType

from tests.fuzz.mutations import mutated
from tests.fuzz.order import window
from tests.fuzz.seeds import seeds_of
from tests.fuzz.targets import TARGETS, Reader

LIMIT_S = 10.0
"""An input that takes longer hangs. Generous: the machine may be busy."""

MAX_FINDINGS = 5
"""After so many a target is left alone."""

EVERYTHING: dict[str, Reader] = {**TARGETS, "window": Reader(window)}

_BATCH = 500


class HangError(Exception):
    """One input took longer than LIMIT_S."""


@dataclass
class Report:
    """What one target did with its inputs; `findings` are inputs that broke a promise, with the error."""

    target: str
    num_inputs: int = 0
    seconds: float = 0.0
    slowest_ms: float = 0.0
    findings: list[tuple[bytes, str]] = field(default_factory=list)


def fuzz(
    target: str, num_inputs: int, seed: int, progress: Callable[[int], None] = lambda number: None
) -> Report:
    """Send so many inputs, made from the seeds and as many as the number `seed` says, through a target."""
    report, random, seeds = Report(target), Random(f"{target} {seed}"), seeds_of(target)
    started_s = time.perf_counter()
    for start in range(0, num_inputs, _BATCH):
        count = min(_BATCH, num_inputs - start)
        check(EVERYTHING[target], [mutated(seeds, random) for _ in range(count)], report)
        progress(count)
        if len(report.findings) >= MAX_FINDINGS:
            break
    report.seconds = time.perf_counter() - started_s
    return report


def check(target: Reader, inputs: Sequence[bytes], report: Report) -> None:
    """Send inputs through a target and note what breaks a promise."""
    for data in inputs:
        before_s = time.perf_counter()
        try:
            with within(LIMIT_S):
                target(data)
        except Exception as error:  # noqa: BLE001  # any exception that is not documented is a finding
            report.findings.append((data, f"{type(error).__name__}: {str(error)[:300]}"))
        report.slowest_ms = max(report.slowest_ms, (time.perf_counter() - before_s) * 1000)
    report.num_inputs += len(inputs)


@contextmanager
def within(limit_s: float) -> Iterator[None]:
    """Let what happens inside take so long at most.

    Raises:
        HangError: it takes longer.
    """

    def over(signal_number: int, frame: FrameType | None) -> None:
        raise HangError(f"expected an end within {limit_s} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

"""How long each stage of one search took, for the `Server-Timing` header."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from plugin.telemetry.request_notes import note_stage


class StageClock:
    """Collects milliseconds by stage, in the order in which stages first end; what comes again adds up."""

    def __init__(self) -> None:
        self._started_s = time.perf_counter()
        self._stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside."""
        started_s = time.perf_counter()
        try:
            yield
        finally:
            spent_s = time.perf_counter() - started_s
            spent_ms = spent_s * 1000
            ended_ns = time.time_ns()
            note_stage(name, ended_ns - int(spent_s * 1e9), ended_ns)
            self._stages[name] = self._stages.get(name, 0.0) + spent_ms

    def header(self) -> tuple[str, str]:
        """Return the header, with the total up to now (W3C Server Timing: durations in milliseconds)."""
        total_ms = (time.perf_counter() - self._started_s) * 1000
        stages = [*self._stages.items(), ("total", total_ms)]
        return "Server-Timing", ", ".join(f"{name};dur={ms:.2f}" for name, ms in stages)

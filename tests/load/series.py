"""What is sent where, at which rates, and what came of it."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from urllib.parse import urlsplit

import msgspec
import numpy as np

from tests.load.generator import GRACE_S, Plan, Seen

BEHIND_MS = 2_000.0
BEHIND_SHARE = 0.9
"""Where the median is beyond the one, or a smaller share is answered in time, higher rates are not tried."""


@dataclass
class Series:
    """One kind of request at one server; `bodies` are handed out in order, so that distinct ones stay so."""

    name: str
    url: str
    index: str
    bodies: Sequence[str]
    repeats: bool = True
    is_over: bool = False
    _used: int = field(default=0, init=False)

    def plan(self, rate: float, seconds: float, seed: int) -> Plan:
        """Return the next plan."""
        bodies = list(self.bodies)
        if not self.repeats:
            first, count = self._used, int(rate * seconds * 1.5) + 50
            bodies = [self.bodies[number % len(self.bodies)] for number in range(first, first + count)]
            self._used += count
        parts = urlsplit(self.url)
        path = f"/{self.index}/_search"
        return Plan(parts.hostname or "", parts.port or 80, path, bodies, rate, seconds, seed)


@dataclass(frozen=True)
class Point:
    """One series at one rate, all rounds together; milliseconds."""

    series: str
    rate: float
    answered_s: float
    p50: float
    p95: float
    p99: float
    applied: float
    num_failed: int
    late_ms: float

    @classmethod
    def of(cls, series: str, rate: float, seconds: float, runs: Sequence[Seen]) -> "Point":
        """Put rounds together; without an answer the percentiles are infinite."""
        latencies = np.concatenate([np.array(run.latencies_ms) for run in runs])
        p50, p95, p99 = np.percentile(latencies, (50, 95, 99)) if len(latencies) else (np.inf,) * 3
        failed = sum(run.num_errors + run.num_lost for run in runs)
        applied = sum(run.num_applied for run in runs) / max(1, len(latencies))
        answered_s = len(latencies) / (seconds * len(runs))
        late_ms = max(run.late_ms for run in runs)
        return cls(series, rate, answered_s, float(p50), float(p95), float(p99), applied, failed, late_ms)

    @property
    def is_behind(self) -> bool:
        """Whether the server no longer keeps up."""
        return self.p50 > BEHIND_MS or self.answered_s < BEHIND_SHARE * self.rate or self.num_failed > 0


def measure(
    series: Sequence[Series],
    rates: Sequence[float],
    seconds: float,
    rounds: int,
    progress: Callable[[str], None] = lambda what: None,
) -> list[Point]:
    """Send every series at every rate, interleaved: at each rate all series, in another order each round."""
    points = []
    order = Random(0)
    for rate in rates:
        alive = [each for each in series if not each.is_over]
        runs: dict[str, list[Seen]] = {each.name: [] for each in alive}
        for number in range(rounds):
            for each in order.sample(alive, len(alive)):
                progress(f"{rate:.0f}/s, round {number + 1}: {each.name}")
                runs[each.name].append(sent(each.plan(rate, seconds, seed=number)))
        for each in alive:
            point = Point.of(each.name, rate, seconds, runs[each.name])
            each.is_over = point.is_behind
            points.append(point)
    return points


def sent(plan: Plan) -> Seen:
    """Run a plan in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.load.generator"],
        input=msgspec.json.encode(plan),
        stdout=subprocess.PIPE,
        timeout=plan.seconds * 3 + GRACE_S + 60,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=Seen)

"""How fast a feed may go: a limit on documents a second, and less if searches become slow."""

import statistics
import time
from collections.abc import Callable

SLOW_MS = 50.0
SLOW_FACTOR = 5.0
"""A probe is slow beyond both: this many milliseconds, and this many times what it took before the feed."""

MIN_SHARE = 0.2
_BASELINE_PROBES = 5


class Throttle:
    """Decides how long to pause after each batch.

    The feed works a share of the time, 1.0 at first. A slow probe halves the share, down to `MIN_SHARE`; a
    quick one gives a tenth back.

    Args:
        docs_s: the most written documents a second; None: no limit.
        probe: a small search, as users send them; None: none is sent.
        clock: seconds, as `time.perf_counter` counts them.
    """

    def __init__(
        self,
        docs_s: float | None = None,
        probe: Callable[[], object] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.docs_s = docs_s
        self._probe = probe
        self._clock = clock
        self._slow_ms = SLOW_MS
        self.share = 1.0
        self.last_probe_ms: float | None = None
        if probe is not None:
            baseline = statistics.median(self._probe_ms() for _ in range(_BASELINE_PROBES))
            self._slow_ms = max(SLOW_MS, SLOW_FACTOR * baseline)

    def pause_s(self, written: int, busy_s: float) -> float:
        """Return the pause after a batch of `written` documents that took `busy_s` seconds; probe once."""
        if self._probe is not None:
            self.last_probe_ms = self._probe_ms()
            is_slow = self.last_probe_ms > self._slow_ms
            self.share = max(MIN_SHARE, self.share / 2) if is_slow else min(1.0, self.share + 0.1)
        bound_s = written / self.docs_s if self.docs_s else 0.0
        return max(bound_s - busy_s, busy_s * (1 / self.share - 1), 0.0)

    def _probe_ms(self) -> float:
        if self._probe is None:
            return 0.0
        started = self._clock()
        self._probe()
        return (self._clock() - started) * 1000

"""How long a queue makes everybody wait: the shortest wait within a short window, as in CoDel (RFC 8289).

A burst makes some wait long and others not at all. In a standing queue even the luckiest waits.
"""

import threading
import time
from collections.abc import Callable

WINDOW_S = 0.1


class StandingQueue:
    """The shortest wait in the current and in the last window of one queue."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._window = -1
        self._least_s = float("inf")
        self._last_s = 0.0
        self._lock = threading.Lock()

    def record_wait(self, wait_s: float) -> None:
        """Record how long one request or query has waited, in seconds."""
        with self._lock:
            self._turn()
            self._least_s = min(self._least_s, wait_s)

    def least_s(self) -> float:
        """Return the shortest wait of at least one whole window, in seconds; 0 if anybody did not wait."""
        with self._lock:
            self._turn()
            return min(self._last_s, self._least_s)

    def _turn(self) -> None:
        """Begin the current window. A window without a wait means that no queue was standing."""
        window = int(self._clock() / WINDOW_S)
        if window != self._window:
            is_next = window == self._window + 1 and self._least_s < float("inf")
            self._last_s = self._least_s if is_next else 0.0
            self._window, self._least_s = window, float("inf")

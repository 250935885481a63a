"""How long a queue makes everybody wait: the least wait of a short window, as CoDel judges it (RFC 8289).

A burst makes some wait long and others not at all. In a queue that stands, even the luckiest waits.
"""

import threading
import time
from collections.abc import Callable

WINDOW_S = 0.1


class StandingQueue:
    """The least wait of the current and of the last window of one queue."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._window = -1
        self._least_s = float("inf")
        self._last_s = 0.0
        self._lock = threading.Lock()

    def waited(self, wait_s: float) -> None:
        """Note how long one has waited, in seconds."""
        with self._lock:
            self._turn()
            self._least_s = min(self._least_s, wait_s)

    def least_s(self) -> float:
        """Return how long everybody has waited for one whole window at least, 0 if somebody has not."""
        with self._lock:
            self._turn()
            return min(self._last_s, self._least_s)

    def _turn(self) -> None:
        """Begin the window of this moment; one that nobody waited in was a queue that did not stand."""
        window = int(self._clock() / WINDOW_S)
        if window != self._window:
            is_next = window == self._window + 1 and self._least_s < float("inf")
            self._last_s = self._least_s if is_next else 0.0
            self._window, self._least_s = window, float("inf")

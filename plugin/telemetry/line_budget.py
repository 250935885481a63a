"""Lines that come in floods: a few a second are written, and each says how many before it were not."""

import threading
import time
from collections.abc import Callable

LINES_A_SECOND = 10


class LineBudget:
    """Chooses the lines of one worker that are written. The first ones of each second are."""

    def __init__(
        self, lines_a_second: int = LINES_A_SECOND, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lines_a_second, self._clock = lines_a_second, clock
        self._second, self._num_written, self._num_left_out = -1, 0, 0
        self._lock = threading.Lock()

    def take(self) -> int | None:
        """Return how many lines were left out since the last one; None if this one is left out too."""
        with self._lock:
            second = int(self._clock())
            if second != self._second:
                self._second, self._num_written = second, 0
            if self._num_written >= self._lines_a_second:
                self._num_left_out += 1
                return None
            self._num_written += 1
            left_out, self._num_left_out = self._num_left_out, 0
            return left_out

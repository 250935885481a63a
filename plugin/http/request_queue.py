"""The requests of this process that wait for a thread, and how long each has waited.

gunicorn's worker hands requests over and starts them; admission and the status page look at the length.
"""

import threading
import time

_QUEUED_S = "queued_s"


class RequestQueue:
    """Counts the requests that were handed over and that no thread has started."""

    def __init__(self) -> None:
        self.length = 0
        self._lock = threading.Lock()

    def add(self) -> float:
        """Count a request that waits from now on; return now, by the monotonic clock in seconds."""
        self._change(1)
        return time.monotonic()

    def remove(self) -> None:
        """Count a request no longer, since a thread starts it."""
        self._change(-1)

    def _change(self, number: int) -> None:
        with self._lock:
            self.length += number


request_queue = RequestQueue()
"""The queue of this process."""


def keep_queued_s(body: object, queued_s: float) -> None:
    """Keep on a request's body, which WSGI hands on, how long the request waited for a thread, in seconds."""
    setattr(body, _QUEUED_S, queued_s)


def read_queued_s(body: object) -> float:
    """Return how long the request of this body waited for a thread, in seconds; 0 if nothing was kept."""
    queued_s: float = getattr(body, _QUEUED_S, 0.0)
    return queued_s

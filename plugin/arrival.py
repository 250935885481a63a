"""How long a request has waited for a thread: its deadline counts that too."""

import threading
import time

_of_thread = threading.local()


def arrived(at_s: float) -> None:
    """Begin this thread's request, which was there at this time of the monotonic clock."""
    _of_thread.queued_s = max(0.0, time.monotonic() - at_s)


def queued_s() -> float:
    """Return how long this thread's request has waited for it."""
    waited_s: float = getattr(_of_thread, "queued_s", 0.0)
    return waited_s

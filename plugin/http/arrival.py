"""How long a request has waited for a thread, and how many still do; its deadline counts the wait too."""

import threading
import time

_of_thread = threading.local()


class _Queue:
    """The requests of this process that have been handed over, and that no thread has begun."""

    def __init__(self) -> None:
        self.length = 0
        self.lock = threading.Lock()

    def add(self, number: int) -> None:
        with self.lock:
            self.length += number


_queue = _Queue()


def handed_over() -> float:
    """Note that a request waits for a thread from now on: return now, by the monotonic clock."""
    _queue.add(1)
    return time.monotonic()


def arrived(at_s: float, *, was_handed_over: bool = True) -> None:
    """Begin this thread's request, which was there at this time of the monotonic clock."""
    if was_handed_over:
        _queue.add(-1)
    _of_thread.queued_s = max(0.0, time.monotonic() - at_s)


def queued_s() -> float:
    """Return how long this thread's request has waited for it."""
    waited_s: float = getattr(_of_thread, "queued_s", 0.0)
    return waited_s


def num_waiting() -> int:
    """Return how many requests of this process wait for a thread."""
    return _queue.length

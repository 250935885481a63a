"""The threads that encode queries, and the queue of texts that they share."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from plugin.encoding.query_future import QueryFuture

Run = Callable[[str, QueryFuture, float], None]
"""Encodes one text for its future, on an encoding thread; the last argument is its wait in seconds."""


class EncodingPool:
    """A few threads that take texts in the order in which they came.

    Args:
        run: encodes one text; must not raise.
        threads: how many texts are encoded at once.
    """

    def __init__(self, run: Run, threads: int) -> None:
        self._run = run
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="encode")
        self._num_idle = threads
        self._queue: OrderedDict[QueryFuture, tuple[str, float]] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, text: str, future: QueryFuture) -> None:
        """Queue a text, and wake a thread if one is idle."""
        with self._lock:
            self._queue[future] = text, time.perf_counter()
            is_idle = self._num_idle > 0
            self._num_idle -= is_idle
        if is_idle:
            self._executor.submit(self._work)

    def remove(self, future: QueryFuture) -> None:
        """Take a text out of the queue, if no thread has taken it yet."""
        with self._lock:
            self._queue.pop(future, None)

    def _work(self) -> None:
        """Encode queued texts until there are none."""
        while True:
            with self._lock:
                if not self._queue:
                    self._num_idle += 1
                    return
                future, (text, queued_s) = self._queue.popitem(last=False)
            if future.set_running_or_notify_cancel():
                self._run(text, future, time.perf_counter() - queued_s)

"""Query texts to vectors, beside the request's own thread: cached, and each text encoded once at a time."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from plugin.errors import RerankFailedError

Floats = npt.NDArray[np.float32]

CACHE_ENTRIES = 4096
"""Query vectors kept: at 384 float32 values, about 8 MB with their texts."""

MAX_WAITING = 32
"""Queries that may wait for the encoder; one more is answered in first-stage order at once."""


class QueryVectors:
    """A small pool of encoding threads behind a cache of their results."""

    def __init__(
        self,
        encode: Callable[[str], Floats],
        *,
        threads: int = 1,
        cache_entries: int = CACHE_ENTRIES,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._encode = encode
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="encode")
        self._cache: LRUCache[str, Future[Floats]] = LRUCache(cache_entries)
        self._max_waiting = max_waiting
        self._waiting = 0
        self._lock = threading.Lock()

    def submit(self, text: str) -> "Future[Floats] | None":
        """Start encoding a text, or join whoever has; None where too many are waiting already."""
        with self._lock:
            future = self._cache.get(text)
            if future is not None:
                return future
            if self._waiting >= self._max_waiting:
                return None
            self._waiting += 1
            future = self._pool.submit(self._encode, text)
            self._cache[text] = future
        future.add_done_callback(lambda done: self._finished(text, done))
        return future

    def _finished(self, text: str, future: "Future[Floats]") -> None:
        with self._lock:
            self._waiting -= 1
            if future.exception() is not None:  # a failure is not remembered: the next search tries again
                self._cache.pop(text, None)


def awaited(future: "Future[Floats] | None", timeout_s: float) -> Floats:
    """Return a submitted text's (dim,) vector.

    Raises:
        RerankFailedError: `overloaded` where it was not even started, `deadline` where it takes longer than
            `timeout_s`, `model` where the encoder failed.
    """
    if future is None:
        raise RerankFailedError("overloaded", "too many queries wait for the encoder")
    try:
        error = future.exception(timeout_s)
    except FutureTimeoutError as late:
        raise RerankFailedError("deadline", f"no query vector within {timeout_s * 1000:.0f} ms") from late
    if error is not None:
        raise RerankFailedError("model", f"the query encoder failed: {error!r}") from error
    return future.result()

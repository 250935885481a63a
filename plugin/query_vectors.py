"""Query texts to vectors, beside the request's own thread: cached, and each text encoded once at a time."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Protocol

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from plugin.errors import RerankFailedError

Floats = npt.NDArray[np.float32]


class Watcher(Protocol):
    """Is told what the cache and the queue before the encoder do."""

    def looked_up(self, result: str) -> None:
        """A text was asked for: `hit`, `miss` or `refused`."""

    def holds(self, num_waiting: int, num_entries: int) -> None:
        """So many queries wait, and so many vectors are kept."""

    def started(self, waited_s: float) -> None:
        """The encoder took a query that had waited."""


class _NoWatcher:
    def looked_up(self, result: str) -> None:
        pass

    def holds(self, num_waiting: int, num_entries: int) -> None:
        pass

    def started(self, waited_s: float) -> None:
        pass


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
        self.watcher: Watcher = _NoWatcher()

    def submit(self, text: str) -> "Future[Floats] | None":
        """Start encoding a text, or join whoever has; None where too many are waiting already."""
        with self._lock:
            future = self._cache.get(text)
            if future is not None:
                self.watcher.looked_up("hit")
                return future
            if self._waiting >= self._max_waiting:
                self.watcher.looked_up("refused")
                return None
            self._waiting += 1
            future = self._pool.submit(self._timed, text, time.perf_counter())
            self._cache[text] = future
            self.watcher.looked_up("miss")
            self.watcher.holds(self._waiting, len(self._cache))
        future.add_done_callback(lambda done: self._finished(text, done))
        return future

    def submit_all(self, texts: Sequence[str]) -> "list[Future[Floats] | None]":
        """Start encoding many texts, in their order, as one batch; None where too many queries wait already.

        A batch waits as one query and hands the encoder over after each text, so that it holds single
        searches up by one text and no more. Its texts never share a tensor: a model in int8 scales its
        activations by the whole tensor, and a text's vector would depend on its company (cosine 0.999, seen).
        """
        batch: dict[str, Future[Floats]] = {}
        found: dict[str, Future[Floats] | None] = {}
        with self._lock:
            may_wait = self._waiting < self._max_waiting
            for text in dict.fromkeys(texts):
                future = found[text] = self._cache.get(text)
                if future is None and may_wait:
                    found[text] = batch[text] = Future()
                missed = "miss" if text in batch else "refused"
                self.watcher.looked_up(missed if future is None else "hit")
            self._waiting += bool(batch)
            self._cache.update(batch)
            self.watcher.holds(self._waiting, len(self._cache))
        if batch:
            self._encode_next(iter(batch.items()))
        return [found[text] for text in texts]

    def _encode_next(self, batch: "Iterator[tuple[str, Future[Floats]]]") -> None:
        """Start the next text of a batch, behind what has come in meanwhile."""
        text, future = next(batch, ("", None))
        if future is None:
            self._left()
            return

        def encoded(done: "Future[Floats]") -> None:
            error = done.exception()
            if error is None:
                future.set_result(done.result())
            else:
                self._forget(text)
                future.set_exception(error)
            self._encode_next(batch)

        self._pool.submit(self._timed, text, time.perf_counter()).add_done_callback(encoded)

    def _timed(self, text: str, asked_s: float) -> Floats:
        self.watcher.started(time.perf_counter() - asked_s)
        return self._encode(text)

    def _left(self) -> None:
        with self._lock:
            self._waiting -= 1
            self.watcher.holds(self._waiting, len(self._cache))

    def _finished(self, text: str, future: "Future[Floats]") -> None:
        self._left()
        if future.exception() is not None:
            self._forget(text)

    def _forget(self, text: str) -> None:
        """Drop a failure: the next search tries again."""
        with self._lock:
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

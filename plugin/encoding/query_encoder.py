"""Query texts to vectors, beside the request's own thread: cached, and each text encoded once at a time.

`submit` -> `_start` -> `_work`, on the encoding thread -> `_run` -> `_encoded`
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import Protocol

import numpy as np
from cachetools import LRUCache
from circuitbreaker import STATE_CLOSED, STATE_HALF_OPEN, STATE_OPEN, CircuitBreaker

from plugin.encoding.query_future import QueryFuture, awaited, hopeful
from reranker.arrays import Floats

__all__ = ["EncoderState", "Floats", "QueryFuture", "QueryVectors", "Watcher", "awaited", "hopeful"]


class Watcher(Protocol):
    """Is told what the cache and the queue before the encoder do."""

    def looked_up(self, result: str) -> None:
        """A text was asked for: `hit`, `miss` or `refused`."""

    def holds(self, num_waiting: int, num_entries: int) -> None:
        """So many queries wait, and so many vectors are kept."""

    def started(self, waited_s: float) -> None:
        """The encoder took a query that had waited."""

    def rests(self, *, is_open: bool, tripped: bool) -> None:
        """The encoder rests after faults, or works again; `tripped` where it has just begun to rest."""


class _NoWatcher:
    def looked_up(self, result: str) -> None:
        pass

    def holds(self, num_waiting: int, num_entries: int) -> None:
        pass

    def started(self, waited_s: float) -> None:
        pass

    def rests(self, *, is_open: bool, tripped: bool) -> None:
        pass


CACHE_ENTRIES = 4096
"""Query vectors kept: at 384 float32 values, some 20 MB with their texts and what waits for them."""

MAX_WAITING = 32
"""Queries that may wait for the encoder; one more is answered in first-stage order at once."""

MAX_FAULTS = 5
"""Encodings that fail in a row before no more is tried for a while."""

REST_S = 10.0
"""How long; then one query tries."""

LAST_ENCODINGS = 31
"""Encodings whose median tells how long one takes."""


class EncoderRestsError(Exception):
    """A query was not encoded, since the encoder has failed too often."""


@dataclass(frozen=True)
class EncoderState:
    """What one worker's query encoder does now.

    `breaker` is closed, open or half_open; `encoding_ms` is the processor time of an encoding.
    """

    num_waiting: int
    num_cached: int
    encoding_ms: float
    breaker: str


class QueryVectors:
    """A small pool of encoding threads behind a cache of their results.

    Args:
        encode: encodes one text: -> (dim,) float32.
        dim: the dimension that it must give, with finite values; None: any.
        threads: how many texts are encoded at once.
        cache_entries: how many vectors are kept.
        max_waiting: how many queries may wait.
        rest_s: how long nothing is tried after MAX_FAULTS faults in a row.
    """

    def __init__(
        self,
        encode: Callable[[str], Floats],
        *,
        dim: int | None = None,
        threads: int = 1,
        cache_entries: int = CACHE_ENTRIES,
        max_waiting: int = MAX_WAITING,
        rest_s: float = REST_S,
    ) -> None:
        self._encode, self._dim = encode, dim
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="encode")
        self._idle_threads = threads
        self._queue: OrderedDict[QueryFuture, tuple[str, float]] = OrderedDict()
        self._breaker = CircuitBreaker(MAX_FAULTS, rest_s, name="query-encoder")
        self._cache: LRUCache[str, QueryFuture] = LRUCache(cache_entries)
        self._took_s: deque[float] = deque(maxlen=LAST_ENCODINGS)
        self._max_waiting = max_waiting
        self._waiting = 0
        self._lock = threading.Lock()
        self.encoding_s = 0.0
        """The processor time of an encoding, the median of the last ones; 0 before the first."""
        self.watcher: Watcher = _NoWatcher()
        self.on_started: Callable[[float], None] = lambda waited_s: None

    def submit(self, text: str) -> QueryFuture | None:
        """Start encoding a text, or join whoever has; None if too many queries wait."""
        with self._lock:
            future = self._joined(text)
            if future is not None:
                self.watcher.looked_up("hit")
                return future
            if self._rests():
                return _resting()
            if self._waiting >= self._max_waiting:
                self.watcher.looked_up("refused")
                return None
            self._waiting += 1
            future = self._cache[text] = QueryFuture()
            self.watcher.looked_up("miss")
            self.watcher.holds(self._waiting, len(self._cache))
        self._start(text, future)
        future.add_done_callback(lambda done: self._left())
        return future

    def submit_all(self, texts: Sequence[str]) -> list[QueryFuture | None]:
        """Start encoding many texts, in their order, as one batch; None where too many queries wait already.

        A batch waits as one query and hands the encoder over after each text, so that it holds single
        searches up by one text and no more. Its texts never share a tensor: a model in int8 scales its
        activations by the whole tensor, and a text's vector would depend on its company (cosine 0.999, seen).
        """
        batch: dict[str, QueryFuture] = {}
        found: dict[str, QueryFuture | None] = {}
        with self._lock:
            may_wait, rests = self._waiting < self._max_waiting, self._rests()
            for text in dict.fromkeys(texts):
                future = found[text] = self._joined(text)
                if future is None and rests:
                    found[text] = _resting()
                elif future is None and may_wait:
                    found[text] = batch[text] = QueryFuture()
                missed = "miss" if text in batch else "refused"
                self.watcher.looked_up(missed if future is None else "hit")
            self._waiting += bool(batch)
            self._cache.update(batch)
            self.watcher.holds(self._waiting, len(self._cache))
        if batch:
            self._encode_next(iter(batch.items()))
        return [found[text] for text in texts]

    @property
    def num_waiting(self) -> int:
        """How many queries are encoded or wait for that; a batch counts as one."""
        return self._waiting

    def knows(self, text: str) -> bool:
        """Whether a text is encoded, or is to be for another search."""
        with self._lock:
            future = self._cache.get(text)
        return future is not None and not future.cancelled()

    def state(self) -> EncoderState:
        """Return what it does now."""
        return EncoderState(self._waiting, len(self._cache), self.encoding_s * 1000, self._breaker.state)

    def _joined(self, text: str) -> QueryFuture | None:
        future = self._cache.get(text)
        return future if future is not None and future.join() else None

    def _rests(self) -> bool:
        """Whether nothing is tried now; once the rest is over, one query at a time is."""
        is_trying = self._breaker.state == STATE_HALF_OPEN and self._waiting > 0
        return bool(self._breaker.opened or is_trying)

    def _start(self, text: str, future: QueryFuture) -> None:
        with self._lock:
            self._queue[future] = text, time.perf_counter()
            is_asleep = self._idle_threads > 0
            self._idle_threads -= is_asleep
        future.add_done_callback(lambda done: self._drop(text, future) if done.cancelled() else None)
        if is_asleep:
            self._pool.submit(self._work)

    def _work(self) -> None:
        """Encode what waits until nothing does."""
        while True:
            with self._lock:
                if not self._queue:
                    self._idle_threads += 1
                    return
                future, (text, asked_s) = self._queue.popitem(last=False)
            if future.set_running_or_notify_cancel():
                self._run(text, future, time.perf_counter() - asked_s)

    def _run(self, text: str, future: QueryFuture, waited_s: float) -> None:
        try:
            self.watcher.started(waited_s)
            self.on_started(waited_s)
            vector = self._encoded(text)
        except Exception as error:  # noqa: BLE001  # whatever it is, who waits gets it
            self._drop(text, future)  # the next search tries again
            future.set_exception(error)
        else:
            future.set_result(vector)

    def _encoded(self, text: str) -> Floats:
        was, began_s = self._breaker.state, time.thread_time()
        try:
            vector: Floats = self._breaker.call(self._checked, text)
        finally:
            self._tell_breaker(was)
        with self._lock:
            self._took_s.append(time.thread_time() - began_s)
            self.encoding_s = median(self._took_s)
        return vector

    def _tell_breaker(self, was: str) -> None:
        state = self._breaker.state
        if state != was:
            self.watcher.rests(is_open=state != STATE_CLOSED, tripped=state == STATE_OPEN)

    def _checked(self, text: str) -> Floats:
        vector = self._encode(text)
        if self._dim is not None and (vector.shape != (self._dim,) or not np.isfinite(vector).all()):
            raise ValueError(f"expected {self._dim} finite numbers for a query, found {vector}")
        return vector

    def _encode_next(self, batch: Iterator[tuple[str, QueryFuture]]) -> None:
        """Start the next text of a batch that somebody waits for, behind what has come in meanwhile."""
        for text, future in batch:
            if not future.cancelled():
                self._start(text, future)
                future.add_done_callback(lambda done: self._encode_next(batch))
                return
            self._drop(text, future)
        self._left()

    def _left(self) -> None:
        with self._lock:
            self._waiting -= 1
            self.watcher.holds(self._waiting, len(self._cache))

    def _drop(self, text: str, future: QueryFuture) -> None:
        """Forget a query that nobody waits for any longer or that failed, unless it was asked for again."""
        with self._lock:
            self._queue.pop(future, None)
            if self._cache.get(text) is future:
                del self._cache[text]


def _resting() -> QueryFuture:
    future = QueryFuture()
    future.set_exception(EncoderRestsError(f"{MAX_FAULTS} encodings failed in a row: a pause is made"))
    return future

"""Query texts to vectors on encoding threads: cached, and each text encoded once at a time.

`submit` -> `_start` -> `EncodingPool`, on an encoding thread -> `_run` -> `_encode_guarded`
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

import numpy as np
from cachetools import LRUCache
from circuitbreaker import STATE_CLOSED, STATE_HALF_OPEN, STATE_OPEN, CircuitBreaker

from plugin.encoding.encoding_pool import EncodingPool
from plugin.encoding.query_future import QueryFuture
from reranker.arrays import Floats

CACHE_ENTRIES = 4096
"""Query vectors kept. With 384 float32 values they take some 20 MB, texts and futures included."""

MAX_WAITING = 32
"""Queries that may wait for the encoder. A further one is answered in first-stage order at once."""

MAX_FAULTS = 5
"""Consecutive faults that open the circuit."""

RECOVERY_S = 10.0
"""How long the circuit stays open; then one query is tried."""

LAST_ENCODINGS = 31
"""Encodings whose median says how long one takes."""


class EncoderWatcher(Protocol):
    """Records what the cache, the queue and the circuit breaker do."""

    def record_lookup(self, result: str) -> None:
        """Record that a text was looked up: `hit`, `miss` or `refused`."""

    def record_queue(self, num_waiting: int, num_entries: int) -> None:
        """Record how many queries wait and how many vectors are kept."""

    def record_start(self, waited_s: float) -> None:
        """Record that a query began to be encoded, and how long it had waited."""

    def record_circuit(self, *, is_open: bool, tripped: bool) -> None:
        """Record that the circuit opened or closed; `tripped` if it has just opened."""


class _NoWatcher:
    def record_lookup(self, result: str) -> None:
        pass

    def record_queue(self, num_waiting: int, num_entries: int) -> None:
        pass

    def record_start(self, waited_s: float) -> None:
        pass

    def record_circuit(self, *, is_open: bool, tripped: bool) -> None:
        pass


class CircuitOpenError(Exception):
    """A query was not encoded: the encoder has failed too often in a row."""


@dataclass(frozen=True)
class EncoderState:
    """The state of one worker's query encoder.

    `breaker` is closed, open or half_open; `encoding_ms` is the processor time of an encoding.
    """

    num_waiting: int
    num_cached: int
    encoding_ms: float
    breaker: str


class CachedQueryEncoder:
    """Encodes query texts on a few threads, and keeps their vectors.

    Args:
        encode: encodes one text: -> (dim,) float32.
        dim: the dimension that vectors must have, with finite values; None: any.
        threads: how many texts are encoded at once.
        cache_entries: how many vectors are kept.
        max_waiting: how many queries may wait.
        recovery_s: how long the circuit stays open after MAX_FAULTS faults in a row.
    """

    def __init__(
        self,
        encode: Callable[[str], Floats],
        *,
        dim: int | None = None,
        threads: int = 1,
        cache_entries: int = CACHE_ENTRIES,
        max_waiting: int = MAX_WAITING,
        recovery_s: float = RECOVERY_S,
    ) -> None:
        self._encode, self._dim = encode, dim
        self._pool = EncodingPool(self._run, threads)
        self._breaker = CircuitBreaker(MAX_FAULTS, recovery_s, name="query-encoder")
        self._cache: LRUCache[str, QueryFuture] = LRUCache(cache_entries)
        self._took_s: deque[float] = deque(maxlen=LAST_ENCODINGS)
        self._max_waiting = max_waiting
        self._num_waiting = 0
        self._lock = threading.Lock()
        self.encoding_s = 0.0
        """The processor time of an encoding, the median of the last ones; 0 before the first."""
        self.watcher: EncoderWatcher = _NoWatcher()
        self.on_start: Callable[[float], None] = lambda waited_s: None

    def submit(self, text: str) -> QueryFuture | None:
        """Start encoding a text, or join a search that waits for the same one; None if too many wait."""
        with self._lock:
            future = self._join(text)
            if future is not None:
                self.watcher.record_lookup("hit")
                return future
            if self._is_circuit_open():
                return _fail_at_once()
            if self._num_waiting >= self._max_waiting:
                self.watcher.record_lookup("refused")
                return None
            self._num_waiting += 1
            future = self._cache[text] = QueryFuture()
            self.watcher.record_lookup("miss")
            self.watcher.record_queue(self._num_waiting, len(self._cache))
        self._start(text, future)
        future.add_done_callback(lambda done: self._release_slot())
        return future

    def submit_all(self, texts: Sequence[str]) -> list[QueryFuture | None]:
        """Start encoding many texts in their order, as one batch; None for each if too many queries wait.

        A batch takes one queue slot and queues up again after each text, so that it delays a single search by
        one text at most. Its texts never share a tensor. A model in int8 scales its activations by the whole
        tensor, so that a text's vector would depend on the other texts (cosine 0.999, seen).
        """
        batch: dict[str, QueryFuture] = {}
        found: dict[str, QueryFuture | None] = {}
        with self._lock:
            has_slot, is_open = self._num_waiting < self._max_waiting, self._is_circuit_open()
            for text in dict.fromkeys(texts):
                future = found[text] = self._join(text)
                if future is None and is_open:
                    found[text] = _fail_at_once()
                elif future is None and has_slot:
                    found[text] = batch[text] = QueryFuture()
                missed = "miss" if text in batch else "refused"
                self.watcher.record_lookup(missed if future is None else "hit")
            self._num_waiting += bool(batch)
            self._cache.update(batch)
            self.watcher.record_queue(self._num_waiting, len(self._cache))
        if batch:
            self._start_next(iter(batch.items()))
        return [found[text] for text in texts]

    @property
    def num_waiting(self) -> int:
        """How many queries are encoded or wait for it; a batch counts as one."""
        return self._num_waiting

    def knows(self, text: str) -> bool:
        """Whether a text is encoded, or about to be for another search."""
        with self._lock:
            future = self._cache.get(text)
        return future is not None and not future.cancelled()

    def state(self) -> EncoderState:
        """Return the state now."""
        return EncoderState(self._num_waiting, len(self._cache), self.encoding_s * 1000, self._breaker.state)

    def _join(self, text: str) -> QueryFuture | None:
        future = self._cache.get(text)
        return future if future is not None and future.join() else None

    def _is_circuit_open(self) -> bool:
        """Whether nothing is encoded now. While the circuit is half open, one query at a time is tried."""
        is_trying = self._breaker.state == STATE_HALF_OPEN and self._num_waiting > 0
        return bool(self._breaker.opened or is_trying)

    def _start(self, text: str, future: QueryFuture) -> None:
        self._pool.add(text, future)
        future.add_done_callback(lambda done: self._forget(text, future) if done.cancelled() else None)

    def _start_next(self, batch: Iterator[tuple[str, QueryFuture]]) -> None:
        """Start the next text of a batch that a search waits for, behind what has come in meanwhile."""
        for text, future in batch:
            if not future.cancelled():
                self._start(text, future)
                future.add_done_callback(lambda done: self._start_next(batch))
                return
            self._forget(text, future)
        self._release_slot()

    def _run(self, text: str, future: QueryFuture, waited_s: float) -> None:
        try:
            self.watcher.record_start(waited_s)
            self.on_start(waited_s)
            vector = self._encode_guarded(text)
        except Exception as error:  # noqa: BLE001  # every error goes to the searches that wait
            self._forget(text, future)  # the next search tries again
            future.set_exception(error)
        else:
            future.set_result(vector)

    def _encode_guarded(self, text: str) -> Floats:
        """Encode a text if the circuit breaker allows it, and measure it."""
        state_before, began_s = self._breaker.state, time.thread_time()
        try:
            vector: Floats = self._breaker.call(self._encode_checked, text)
        finally:
            self._record_circuit(state_before)
        with self._lock:
            self._took_s.append(time.thread_time() - began_s)
            self.encoding_s = median(self._took_s)
        return vector

    def _encode_checked(self, text: str) -> Floats:
        vector = self._encode(text)
        if self._dim is not None and (vector.shape != (self._dim,) or not np.isfinite(vector).all()):
            raise ValueError(f"expected {self._dim} finite numbers for a query, found {vector}")
        return vector

    def _record_circuit(self, state_before: str) -> None:
        state = self._breaker.state
        if state != state_before:
            self.watcher.record_circuit(is_open=state != STATE_CLOSED, tripped=state == STATE_OPEN)

    def _release_slot(self) -> None:
        with self._lock:
            self._num_waiting -= 1
            self.watcher.record_queue(self._num_waiting, len(self._cache))

    def _forget(self, text: str, future: QueryFuture) -> None:
        """Forget a query that no search waits for or that failed, unless it was asked for again."""
        self._pool.remove(future)
        with self._lock:
            if self._cache.get(text) is future:
                del self._cache[text]


def _fail_at_once() -> QueryFuture:
    future = QueryFuture()
    message = f"{MAX_FAULTS} encodings failed in a row: the circuit is open"
    future.set_exception(CircuitOpenError(message))
    return future

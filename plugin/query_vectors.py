"""Query texts to vectors, beside the request's own thread: cached, and each text encoded once at a time.

`submit` -> `_admitted` (refused where it would be late) -> `_encoded`, on the encoding thread.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache
from circuitbreaker import STATE_CLOSED, STATE_HALF_OPEN, STATE_OPEN, CircuitBreaker

from plugin.errors import RerankFailedError
from plugin.pace import Pace

Floats = npt.NDArray[np.float32]


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


class TooLateError(Exception):
    """A query was not encoded, since nobody could wait for it any longer when its turn came."""


class EncoderRestsError(Exception):
    """A query was not encoded, since the encoder has failed too often."""


@dataclass(frozen=True)
class EncoderState:
    """What one worker's query encoder does: `breaker` is closed, open or half_open; `pace_ms` an encoding."""

    num_waiting: int
    num_cached: int
    pace_ms: float
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
        self._pace = Pace(threads)
        self._breaker = CircuitBreaker(MAX_FAULTS, rest_s, name="query-encoder")
        self._cache: LRUCache[str, Future[Floats]] = LRUCache(cache_entries)
        self._latest_s: dict[str, float] = {}
        self._max_waiting = max_waiting
        self._waiting = 0
        self._lock = threading.Lock()
        self.watcher: Watcher = _NoWatcher()

    def submit(self, text: str, within_s: float = math.inf) -> "Future[Floats] | None":
        """Start encoding a text, or join whoever has; None where it would not be there within that time."""
        with self._lock:
            future = self._cache.get(text)
            if future is not None:
                self._prolong(text, within_s)
                self.watcher.looked_up("hit")
                return future
            if self._rests():
                return _resting()
            if not self._admits(within_s):
                self.watcher.looked_up("refused")
                return None
            if self._waiting:  # else it is encoded now, and serves the next search at least
                self._latest_s[text] = time.monotonic() + within_s
            self._waiting += 1
            future = self._pool.submit(self._encoded, text, time.perf_counter())
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
            may_wait, rests = self._waiting < self._max_waiting, self._rests()
            for text in dict.fromkeys(texts):
                future = found[text] = self._cache.get(text)
                if future is None and rests:
                    found[text] = _resting()
                elif future is None and may_wait:
                    found[text] = batch[text] = Future()
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

    def state(self) -> EncoderState:
        """Return what it does now."""
        return EncoderState(self._waiting, len(self._cache), self._pace.mean_s * 1000, self._breaker.state)

    def _rests(self) -> bool:
        """Whether nothing is tried now; once the rest is over, one query at a time is."""
        is_trying = self._breaker.state == STATE_HALF_OPEN and self._waiting > 0
        return bool(self._breaker.opened or is_trying)

    def _admits(self, within_s: float) -> bool:
        """Whether one more query may wait; where nobody does, it is always tried."""
        if self._waiting >= self._max_waiting:
            return False
        return not self._waiting or self._pace.expected_s(self._waiting) <= within_s

    def _prolong(self, text: str, within_s: float) -> None:
        latest_s = self._latest_s.get(text)
        if latest_s is not None:
            self._latest_s[text] = max(latest_s, time.monotonic() + within_s)

    def _encoded(self, text: str, asked_s: float) -> Floats:
        """Encode a text unless it is too late for everybody who waits for it."""
        self.watcher.started(time.perf_counter() - asked_s)
        with self._lock:
            latest_s = self._latest_s.pop(text, math.inf)
        if time.monotonic() > latest_s:
            raise TooLateError("no query vector in time: others were before it")
        was = self._breaker.state
        try:
            with self._pace.one():
                vector: Floats = self._breaker.call(self._checked, text)
        finally:
            self._tell_breaker(was)
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

        self._pool.submit(self._encoded, text, time.perf_counter()).add_done_callback(encoded)

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


def hopeful(future: "Future[Floats] | None") -> "Future[Floats]":
    """Return what `submit` gave where a vector may come of it, so that nothing is asked in vain otherwise.

    Raises:
        RerankFailedError: `overloaded` where it was not even started, `model` where the encoder rests.
    """
    if future is None:
        raise RerankFailedError("overloaded", "too many queries wait for the encoder")
    if future.done() and future.exception() is not None:
        awaited(future, 0.0)
    return future


def awaited(future: "Future[Floats] | None", timeout_s: float) -> Floats:
    """Return a submitted text's (dim,) vector.

    Raises:
        RerankFailedError: `overloaded` where it was not even started, `deadline` where it takes longer than
            `timeout_s`, `model` where the encoder failed.
    """
    if future is None:
        raise RerankFailedError("overloaded", "too many queries wait for the encoder")
    try:
        error = future.exception(max(0.0, timeout_s))
    except FutureTimeoutError as late:
        raise RerankFailedError("deadline", f"no query vector within {timeout_s * 1000:.0f} ms") from late
    if isinstance(error, TooLateError):
        raise RerankFailedError("deadline", str(error)) from error
    if error is not None:
        raise RerankFailedError("model", f"the query encoder failed: {error!r}") from error
    return future.result()


def _resting() -> "Future[Floats]":
    future: Future[Floats] = Future()
    future.set_exception(EncoderRestsError(f"{MAX_FAULTS} encodings failed in a row: a pause is made"))
    return future

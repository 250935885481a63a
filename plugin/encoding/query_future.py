"""A query's vector that is still being encoded, and how many searches wait for it."""

import threading
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError

from plugin.errors import RerankFailedError
from reranker.arrays import Floats


class QueryFuture(Future[Floats]):
    """A (dim,) float32 vector. It is cancelled if the last search that waits leaves before its turn."""

    def __init__(self) -> None:
        super().__init__()
        self._num_waiters = 1
        self._counting = threading.Lock()

    def join(self) -> bool:
        """Wait for it too. Return False if it has been cancelled, so that there is nothing to wait for."""
        with self._counting:
            if self._num_waiters == 0:
                return False
            self._num_waiters += 1
            return True

    def leave(self) -> None:
        """Stop waiting. A query that is being encoded serves the next search; others are cancelled."""
        with self._counting:
            if self._num_waiters == 0 or (self._num_waiters == 1 and (self.running() or self.done())):
                return
            self._num_waiters -= 1
            is_wanted = self._num_waiters > 0
        if not is_wanted and not self.cancel():  # outside the lock, since it calls back
            with self._counting:  # a thread has just taken it
                self._num_waiters += 1


def raise_if_unavailable(future: QueryFuture | None) -> QueryFuture:
    """Return what `submit` returned, unless it is known already that there will be no vector.

    Raises:
        RerankFailedError: `overloaded` if it was not even started, `model` if the circuit is open.
    """
    if future is None:
        raise RerankFailedError("overloaded", "too many queries wait for the encoder")
    if future.done() and not future.cancelled() and future.exception() is not None:
        await_vector(future, 0.0)
    return future


def await_vector(future: QueryFuture | None, timeout_s: float) -> Floats:
    """Return a submitted text's (dim,) float32 vector; wait up to `timeout_s`.

    Raises:
        RerankFailedError: `overloaded` if it was not even started, `deadline` if it takes longer,
            `model` if the encoder failed.
    """
    if future is None:
        raise RerankFailedError("overloaded", "too many queries wait for the encoder")
    try:
        error = future.exception(max(0.0, timeout_s))
    except (FutureTimeoutError, CancelledError) as late:
        future.leave()
        raise RerankFailedError("deadline", f"no query vector within {timeout_s * 1000:.0f} ms") from late
    if error is not None:
        raise RerankFailedError("model", f"the query encoder failed: {error!r}") from error
    return future.result()

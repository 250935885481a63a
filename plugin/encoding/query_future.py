"""One query's vector that is not there yet, and how many searches still wait for it."""

import threading
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError

from plugin.errors import RerankFailedError
from reranker.arrays import Floats


class QueryFuture(Future[Floats]):
    """A (dim,) float32 vector; it is cancelled when the last search that waits has left before its turn."""

    def __init__(self) -> None:
        super().__init__()
        self._num_waiters = 1
        self._counting = threading.Lock()

    def join(self) -> bool:
        """Wait for it too; return whether there is still something to wait for."""
        with self._counting:
            if self._num_waiters == 0:
                return False
            self._num_waiters += 1
            return True

    def leave(self) -> None:
        """Wait no longer: a query that is encoded already serves the next search, others are dropped."""
        with self._counting:
            if self._num_waiters == 0 or (self._num_waiters == 1 and (self.running() or self.done())):
                return
            self._num_waiters -= 1
            is_wanted = self._num_waiters > 0
        if not is_wanted and not self.cancel():  # outside of the lock, since it calls back
            with self._counting:  # its turn has just come
                self._num_waiters += 1


def hopeful(future: QueryFuture | None) -> QueryFuture:
    """Return what `submit` gave if a vector may come of it, so that nothing is asked in vain otherwise.

    Raises:
        RerankFailedError: `overloaded` if it was not even started, `model` if the encoder rests.
    """
    if future is None:
        raise RerankFailedError("overloaded", "too many queries wait for the encoder")
    if future.done() and not future.cancelled() and future.exception() is not None:
        awaited(future, 0.0)
    return future


def awaited(future: QueryFuture | None, timeout_s: float) -> Floats:
    """Return a submitted text's (dim,) vector.

    Raises:
        RerankFailedError: `overloaded` if it was not even started, `deadline` if it takes longer than
            `timeout_s`, `model` if the encoder failed.
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

"""A query's vector that is still being encoded, and how many searches wait for it."""

import asyncio
import threading
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress

from plugin.errors import RerankFailedError
from plugin.http.request_context import ClientDisconnectedError
from plugin.http.suspension import is_suspendable, suspend
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
        ClientDisconnectedError: nobody waits for the search any more.
    """
    if future is None:
        raise RerankFailedError("overloaded", "too many queries wait for the encoder")
    try:
        error = _await_end(future, max(0.0, timeout_s))
    except (FutureTimeoutError, CancelledError) as late:
        future.leave()
        raise RerankFailedError("deadline", f"no query vector within {timeout_s * 1000:.0f} ms") from late
    if error is not None:
        raise RerankFailedError("model", f"the query encoder failed: {error!r}") from error
    return future.result()


def _await_end(future: QueryFuture, timeout_s: float) -> BaseException | None:
    """Wait until an encoding has ended, without blocking the loop if there is one; return its error.

    Raises:
        TimeoutError, CancelledError: it does not end in time, or will never begin.
        ClientDisconnectedError: nobody waits for the search any more.
    """
    if future.done() or not timeout_s or not is_suspendable():
        return future.exception(timeout_s)
    try:
        suspend(_wait_on_loop(future, timeout_s))
    except ClientDisconnectedError:
        future.leave()
        raise
    return future.exception(0.0)


async def _wait_on_loop(future: QueryFuture, timeout_s: float) -> None:
    """Wait for an encoding; if this is cancelled, it goes on for the other searches that wait."""
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()

    def wake() -> None:
        if not waiter.done():
            waiter.set_result(None)

    def wake_soon(_: object) -> None:  # on the encoding thread, after which the loop may have ended
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(wake)

    future.add_done_callback(wake_soon)
    timer = loop.call_later(timeout_s, wake)
    try:
        await waiter
    finally:
        timer.cancel()

"""The retry policy for requests while OpenSearch is busy or away: bounded, with growing waits and jitter."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from opensearch.errors import BusyError, UnreachableError

Problem = BusyError | UnreachableError
T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """How long to retry: waits grow from `first_s` to `longest_s`.

    `total_s` bounds the time in which nothing at all succeeds.
    """

    first_s: float = 0.1
    longest_s: float = 10.0
    total_s: float = 120.0

    def wait_s(self, failures: int) -> float:
        """Return how long to wait after that many failures in a row, at least 1: half fixed, half random."""
        bound: float = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return bound * (0.5 + random.random() / 2)


class Retries:
    """The failures in a row of one piece of work, and the time since something succeeded.

    Args:
        policy: the bounds.
        waiting: called with the reason before each wait.
    """

    def __init__(self, policy: RetryPolicy, waiting: Callable[[str], None]) -> None:
        self._policy = policy
        self._waiting = waiting
        self.record_success()

    def record_success(self) -> None:
        """Start the policy's time again, since something succeeded."""
        self.failures = 0
        self._since = time.monotonic()

    def wait_after(self, problem: Problem) -> None:
        """Count a failure and wait for the next attempt.

        Raises:
            BusyError, UnreachableError: the problem, if the policy's time is over.
        """
        passed_s = time.monotonic() - self._since
        if passed_s > self._policy.total_s:
            raise type(problem)(f"gave up after {passed_s:.0f} s without success: {problem}") from problem
        self.failures += 1
        self._waiting(str(problem))
        time.sleep(self._policy.wait_s(self.failures))


def retry(ask: Callable[[], T], policy: RetryPolicy, waiting: Callable[[str], None]) -> T:
    """Return what `ask` returns, and ask again while OpenSearch is busy or away.

    `waiting` is called with the reason before each wait.

    Raises:
        BusyError, UnreachableError: the policy's time is over.
        RequestError: any other error, at once.
    """
    retries = Retries(policy, waiting)
    while True:
        try:
            return ask()
        except (BusyError, UnreachableError) as problem:
            retries.wait_after(problem)

"""Going on when OpenSearch is busy or away: bounded, with growing waits and jitter."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from opensearch.errors import BusyError, UnreachableError

Problem = BusyError | UnreachableError
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Patience:
    """How long to go on: waits grow from `first_s` to `longest_s`.

    `total_s` bounds the time in which nothing at all succeeds.
    """

    first_s: float = 0.1
    longest_s: float = 10.0
    total_s: float = 120.0

    def wait_s(self, failures: int) -> float:
        """Return how long to wait after that many failures in a row, at least 1: half fixed, half random."""
        bound: float = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return bound * (0.5 + random.random() / 2)


class Persistence:
    """One piece of work's failures in a row, and the time since something succeeded.

    Args:
        patience: the bounds.
        waiting: told the reason before each wait.
    """

    def __init__(self, patience: Patience, waiting: Callable[[str], None]) -> None:
        self._patience = patience
        self._waiting = waiting
        self.succeeded()

    def succeeded(self) -> None:
        """Note that something went through: the patience begins anew."""
        self.failures = 0
        self._since = time.monotonic()

    def failed(self, problem: Problem) -> None:
        """Wait for the next attempt.

        Raises:
            BusyError, UnreachableError: the problem, once the patience is at its end.
        """
        passed_s = time.monotonic() - self._since
        if passed_s > self._patience.total_s:
            raise type(problem)(f"gave up after {passed_s:.0f} s without success: {problem}") from problem
        self.failures += 1
        self._waiting(str(problem))
        time.sleep(self._patience.wait_s(self.failures))

    def insist(self, ask: Callable[[], Answer]) -> Answer:
        """Return what `ask` returns, asked again while OpenSearch is busy or away.

        Raises:
            BusyError, UnreachableError: the patience is at its end.
            RequestError: any other error, at once.
        """
        while True:
            try:
                return ask()
            except (BusyError, UnreachableError) as problem:
                self.failed(problem)

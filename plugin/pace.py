"""How long something takes that is done again and again, and so how long a queue for it will."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

_SHARE_OF_LAST = 0.2
"""How much the last duration counts in the mean; so about the last ten do."""


class Pace:
    """The mean duration of one of them, and since when the present ones are under way.

    Args:
        at_once: how many are done at once.
    """

    def __init__(self, at_once: int = 1) -> None:
        self._at_once = at_once
        self.mean_s = 0.0
        self._begun_s: dict[object, float] = {}

    @contextmanager
    def one(self) -> Iterator[None]:
        """Time what happens inside."""
        mark, begin_s = object(), time.monotonic()
        self._begun_s[mark] = begin_s
        try:
            yield
        finally:
            del self._begun_s[mark]
            self.took(time.monotonic() - begin_s)

    def took(self, duration_s: float) -> None:
        """Note one."""
        self.mean_s += (duration_s - self.mean_s) * (_SHARE_OF_LAST if self.mean_s else 1.0)

    def expected_s(self, num_before: int) -> float:
        """Return how long one more takes, so many being before it, under way or waiting.

        One under way for longer than usual shows that the pace is another now: perhaps it never ends.
        """
        begun_s = [*self._begun_s.values()]
        longest_s = time.monotonic() - min(begun_s) if begun_s else 0.0
        return (num_before / self._at_once + 1) * max(self.mean_s, longest_s)

"""Waiting for an event that comes in its own time, however busy the machine."""

import time
from collections.abc import Callable


def until(
    condition: Callable[[], bool],
    what: str = "the event",
    found: Callable[[], object] = lambda: "nothing of it",
    *,
    within_s: float = 90.0,
) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: it does not within `within_s` seconds; says what was expected and found.
    """
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, f"expected {what} within {within_s:g} s, found {found()}"
        time.sleep(0.02)

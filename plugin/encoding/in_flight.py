"""How many requests one worker answers now."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class InFlight:
    """Counts them; one ends when its answer is made, before its client can have read it and sent the next."""

    def __init__(self) -> None:
        self.number = 0
        self._lock = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count what is answered inside."""
        self._add(1)
        try:
            yield
        finally:
            self._add(-1)

    def _add(self, number: int) -> None:
        with self._lock:
            self.number += number

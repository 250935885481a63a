"""How many requests one worker is answering."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class InFlight:
    """Counts requests in flight. One ends once its answer is built, before its client can send the next."""

    def __init__(self) -> None:
        self.number = 0
        self._lock = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count a request while the block runs."""
        self._add(1)
        try:
            yield
        finally:
            self._add(-1)

    def _add(self, number: int) -> None:
        with self._lock:
            self.number += number

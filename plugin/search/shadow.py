"""A thread that computes what is recorded of the orders that nobody sees, after the answer."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

DELAY_S = 0.02
"""How long the other orders wait, so that the answer is sent first."""

COMPARED, BUSY, FAILED = "compared", "busy", "failed"
RESULTS = (COMPARED, BUSY, FAILED)
"""What is counted: a search is compared, or not because others wait, or because its orders are not known."""

Attributes = Mapping[str, str]


@dataclass(frozen=True)
class DeferredAttributes:
    """What is computed after an answer, and what takes the attributes, which are empty if it is not."""

    compute: Callable[[], Attributes]
    deliver: Callable[[Attributes], None]


class ShadowWorker:
    """Computes attributes in a thread of its own, one request at a time; what comes meanwhile goes without.

    Nothing of a request is kept once its attributes are delivered: it may hold a caller's credentials.

    Args:
        is_busy: whether others wait for what it would use; then nothing is computed.
    """

    def __init__(self, is_busy: Callable[[], bool] = lambda: False) -> None:
        self._is_busy = is_busy
        self._changed = threading.Condition()
        self._waiting: list[DeferredAttributes] = []
        self._computing: DeferredAttributes | None = None
        self._thread: threading.Thread | None = None
        self.on_result: Callable[[str], None] = lambda result: None

    def defer(self, comparisons: Sequence[DeferredAttributes]) -> None:
        """Compute what belongs to one request later; deliver nothing at once if there is no time for it."""
        if not comparisons:
            return
        with self._changed:
            is_taken = not self._waiting and self._computing is None and not self._is_busy()
            if is_taken:
                self._waiting = list(comparisons)
                self._start()
                self._changed.notify()
        if not is_taken:
            self._drop(comparisons)

    def stop(self) -> None:
        """Deliver nothing for what waits or is computed, so that all is recorded."""
        with self._changed:
            left = [*filter(None, [self._computing]), *self._waiting]
            self._waiting, self._computing = [], None
        self._drop(left)

    @property
    def is_running(self) -> bool:
        """Whether its thread is there."""
        return self._thread is not None and self._thread.is_alive()

    def _start(self) -> None:
        if not self.is_running:
            self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: bool(self._waiting))
                threading.Event().wait(DELAY_S)
                while self._compute_next():
                    pass
        finally:  # a fault ends this thread: the others of that request are recorded too
            self.stop()

    def _compute_next(self) -> bool:
        """Compute and deliver what waits first; return whether there was anything."""
        with self._changed:
            if not self._waiting:
                return False
            comparison = self._computing = self._waiting.pop(0)
        attributes: Attributes = {}
        result = BUSY
        try:
            if not self._is_busy():
                result = FAILED
                attributes = comparison.compute()
                result = COMPARED if attributes else FAILED
        finally:  # a search is recorded even if a fault ends this thread
            with self._changed:
                is_mine = self._computing is comparison  # else it was stopped, and is recorded
                self._computing = None
            if is_mine:
                self.on_result(result)
                comparison.deliver(attributes)
        return True

    def _drop(self, comparisons: Sequence[DeferredAttributes]) -> None:
        for each in comparisons:
            self.on_result(BUSY)
            each.deliver({})

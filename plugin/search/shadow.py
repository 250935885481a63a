"""A thread that computes what is recorded of the orders that nobody sees, after the answer."""

import queue
import threading
from collections.abc import Callable, Mapping

DELAY_S = 0.02
"""How long the other orders wait, so that the answer is sent first."""

Attributes = Mapping[str, str]


class ShadowWorker:
    """Computes attributes in a thread of its own, one search at a time; what comes meanwhile goes without."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[tuple[Callable[[], Attributes], Callable[[Attributes], None]]]
        self._waiting = queue.Queue(1)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def defer(self, compute: Callable[[], Attributes], deliver: Callable[[Attributes], None]) -> None:
        """Call `deliver` with what `compute` returns, later; at once with nothing if another search waits."""
        self._start()
        try:
            self._waiting.put_nowait((compute, deliver))
        except queue.Full:
            deliver({})

    @property
    def is_running(self) -> bool:
        """Whether its thread is there."""
        return self._thread is not None and self._thread.is_alive()

    def _start(self) -> None:
        with self._lock:
            if not self.is_running:
                self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            compute, deliver = self._waiting.get()
            pause.wait(DELAY_S)
            attributes: Attributes = {}
            try:
                attributes = compute()
            finally:  # a search is recorded even if a fault ends this thread
                deliver(attributes)

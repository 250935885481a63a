"""What few searches need and loads slowly: loaded in a thread when first asked for, dropped when unused."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from reranker.errors import RerankerError

IDLE_S = 3600.0
"""How long something is kept that nobody asks for."""

RETRY_S = 60.0
"""How long something that could not be loaded is not tried again."""

MAX_LOADED = 8
"""Things that are kept at a time; a further one is refused."""

Loaded = TypeVar("Loaded")

_log = logging.getLogger("twinrank.encoding")


class OnDemandLoader(Generic[Loaded]):
    """Loads things by name. Several threads may use it.

    Args:
        load: loads one; may raise `RerankerError`.
        idle_s: how long something is kept that nobody asks for.
        retry_s: how long something that could not be loaded is not tried again.
    """

    def __init__(
        self, load: Callable[[str], Loaded], *, idle_s: float = IDLE_S, retry_s: float = RETRY_S
    ) -> None:
        self._load, self._idle_s, self._retry_s = load, idle_s, retry_s
        self._loaded: dict[str, Loaded] = {}
        self._asked_s: dict[str, float] = {}
        self._failed_s: dict[str, float] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()

    def find(self, name: str) -> Loaded | None:
        """Return what a name stands for; None while it is loaded, or if it cannot be."""
        with self._lock:
            self._asked_s[name] = time.monotonic()
            if name not in self._loaded and self._may_start(name):
                thread = threading.Thread(target=self._run, args=(name,), name=f"load-{name}", daemon=True)
                self._threads[name] = thread
                thread.start()
            return self._loaded.get(name)

    def _may_start(self, name: str) -> bool:
        failed_s = self._failed_s.get(name)
        is_resting = failed_s is not None and time.monotonic() - failed_s < self._retry_s
        return name not in self._threads and not is_resting and len(self._threads) < MAX_LOADED

    def _run(self, name: str) -> None:
        """Load something, and drop it once nobody has asked for it long enough."""
        try:
            loaded = self._load(name)
        except RerankerError as error:
            _log.warning("%s cannot be loaded: %s", name, error)
            self._record_failure(name)
            return
        except BaseException:
            self._record_failure(name)
            raise
        with self._lock:
            self._loaded[name] = loaded
        del loaded
        _log.info("%s is loaded", name)
        while (rest_s := self._drop_if_idle(name)) > 0:
            threading.Event().wait(rest_s)
        _log.info("%s is dropped: nothing has needed it for %.0f s", name, self._idle_s)

    def _drop_if_idle(self, name: str) -> float:
        """Drop something that nobody has asked for in time; return how long it is kept yet, in seconds."""
        with self._lock:
            rest_s = self._asked_s[name] + self._idle_s - time.monotonic()
            if rest_s <= 0:
                del self._loaded[name], self._threads[name]
            return rest_s

    def _record_failure(self, name: str) -> None:
        with self._lock:
            self._failed_s[name] = time.monotonic()
            del self._threads[name]

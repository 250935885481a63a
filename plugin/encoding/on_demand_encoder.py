"""Document texts to vectors on demand: the document tower is loaded when the first text comes."""

import threading
from collections.abc import Callable, Sequence

from plugin.errors import RerankFailedError
from reranker.arrays import Floats
from reranker.encoder import DocumentEncoder
from reranker.errors import RerankerError
from reranker.text import Chunking

MAX_WAITING = 4
"""Requests of a worker that may wait for the document tower; it works on one at a time."""


class OnDemandEncoder:
    """A bundle's document tower behind a short queue. A search never waits for it."""

    def __init__(self, load: Callable[[], DocumentEncoder]) -> None:
        self._load = load
        self._encoder: DocumentEncoder | None = None
        self._busy = threading.Lock()
        self._slots = threading.BoundedSemaphore(1 + MAX_WAITING)

    def __call__(self, texts: Sequence[str], chunking: Chunking) -> list[Floats]:
        """Encode texts: -> for each one (num_chunks, dim) float32, unit vectors.

        Raises:
            RerankFailedError: `overloaded` if too many requests wait, `model` if the tower fails.
        """
        with self._slot():
            try:
                return self._load_once()(texts, chunking)
            except RerankerError as error:
                raise RerankFailedError("model", str(error)) from error

    def num_tokens(self, texts: Sequence[str], chunking: Chunking) -> int:
        """Return how many tokens of the texts are encoded, special ones and overlaps included.

        Raises:
            RerankFailedError: as `__call__`.
        """
        with self._slot():
            try:
                encoder = self._load_once()
                return sum(encoder.num_tokens(text, chunking) for text in texts)
            except RerankerError as error:
                raise RerankFailedError("model", str(error)) from error

    def _slot(self) -> "_QueueSlot":
        return _QueueSlot(self._slots, self._busy)

    def _load_once(self) -> DocumentEncoder:
        if self._encoder is None:
            self._encoder = self._load()
        return self._encoder


class _QueueSlot:
    """A slot in the queue, and then the tower itself; `overloaded` if no slot is free."""

    def __init__(self, slots: threading.BoundedSemaphore, busy: threading.Lock) -> None:
        self._slots, self._busy = slots, busy

    def __enter__(self) -> None:
        if not self._slots.acquire(blocking=False):
            raise RerankFailedError("overloaded", "too many requests wait for the document encoder")
        self._busy.acquire()

    def __exit__(self, *_: object) -> None:
        self._busy.release()
        self._slots.release()

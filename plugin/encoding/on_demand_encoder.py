"""Document texts to vectors on request: the document tower, loaded when the first text comes."""

import threading
from collections.abc import Callable, Sequence

from plugin.errors import RerankFailedError
from reranker.arrays import Floats
from reranker.encoder import DocumentEncoder
from reranker.errors import RerankerError
from reranker.text import Chunking

MAX_WAITING = 4
"""Requests of a worker that may wait for the document tower; it works on one at a time."""


class DocumentVectors:
    """A bundle's document tower behind a short queue. A search never waits for it."""

    def __init__(self, load: Callable[[], DocumentEncoder]) -> None:
        self._load = load
        self._encoder: DocumentEncoder | None = None
        self._busy = threading.Lock()
        self._places = threading.BoundedSemaphore(1 + MAX_WAITING)

    def __call__(self, texts: Sequence[str], chunking: Chunking) -> list[Floats]:
        """Encode texts: -> for each one (num_chunks, dim) float32, unit vectors.

        Raises:
            RerankFailedError: `overloaded` where too many wait already, `model` where the tower fails.
        """
        with self._place():
            try:
                return self._loaded()(texts, chunking)
            except RerankerError as error:
                raise RerankFailedError("model", str(error)) from error

    def num_tokens(self, texts: Sequence[str], chunking: Chunking) -> int:
        """Return how many tokens of the texts are encoded, special ones and overlaps included.

        Raises:
            RerankFailedError: as above.
        """
        with self._place():
            try:
                encoder = self._loaded()
                return sum(encoder.num_tokens(text, chunking) for text in texts)
            except RerankerError as error:
                raise RerankFailedError("model", str(error)) from error

    def _place(self) -> "_Place":
        return _Place(self._places, self._busy)

    def _loaded(self) -> DocumentEncoder:
        if self._encoder is None:
            self._encoder = self._load()
        return self._encoder


class _Place:
    """A place in the queue, and then the tower; `overloaded` where there is no place."""

    def __init__(self, places: threading.BoundedSemaphore, busy: threading.Lock) -> None:
        self._places, self._busy = places, busy

    def __enter__(self) -> None:
        if not self._places.acquire(blocking=False):
            raise RerankFailedError("overloaded", "too many requests wait for the document encoder")
        self._busy.acquire()

    def __exit__(self, *_: object) -> None:
        self._busy.release()
        self._places.release()

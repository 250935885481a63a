"""Document texts to stored vectors, on one thread of low priority, so that searches come first."""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property

from indexer.vector_cache import Encode, PackedVectors
from reranker.arrays import Floats
from reranker.text import Chunking

MAX_WRITERS = 16
"""Requests that may wait for the encoder in one worker: half its threads. Documents of a further request get
their vectors later."""

NICENESS = 10
"""The nice value of the encoding thread; threads that answer searches have 0."""


class BackgroundEncoder:
    """One encoding thread and its document tower, which is loaded when the first document comes.

    Args:
        load: loads the document tower.
        model_tag: the tag of its vectors.
    """

    def __init__(self, load: Callable[[], Encode], model_tag: int) -> None:
        self.model_tag = model_tag
        self.writers = threading.BoundedSemaphore(MAX_WRITERS)
        self._load = load
        self._pool = ThreadPoolExecutor(1, "encode-documents", _lower_priority)
        self._packed = PackedVectors(self._encode, model_tag)
        self.on_encoded: Callable[[int, float], None] = lambda num_texts, seconds: None

    def known(self, hashed: int) -> bytes | None:
        """Return the vector of a recently encoded text, by its hash."""
        return self._packed.known(hashed)

    def submit(self, texts: Mapping[int, str], chunking: Chunking) -> Future[dict[int, bytes | None]]:
        """Start encoding texts by their hashes; a text that cannot be encoded gives None."""
        return self._pool.submit(self._packed, texts, chunking)

    def __call__(self, texts: Mapping[int, str], chunking: Chunking) -> dict[int, bytes | None]:
        """Encode texts by their hashes, and wait."""
        return self.submit(texts, chunking).result()

    @cached_property
    def _tower(self) -> Encode:
        return self._load()

    def _encode(self, texts: Sequence[str], chunking: Chunking) -> Sequence[Floats]:
        tower, started_s = self._tower, time.perf_counter()
        vectors = tower(texts, chunking)
        self.on_encoded(len(texts), time.perf_counter() - started_s)
        return vectors


def _lower_priority() -> None:
    """Lower this thread's priority, if the system has priorities of threads."""
    with suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)

"""One request's slot among the writers that may wait for the document encoder."""

import threading


class EncoderSlot:
    """A slot that a request holds only while some of its documents are encoded.

    A client that sends its bulk slowly, or writes nothing that is encoded, takes no slot from others.

    Args:
        writers: the slots of all requests.
    """

    def __init__(self, writers: threading.Semaphore) -> None:
        self._writers = writers
        self._num_users = 0
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Hold the slot for one more encoding, and return whether there is one. Give each back."""
        with self._lock:
            if not self._num_users and not self._writers.acquire(blocking=False):
                return False
            self._num_users += 1
            return True

    def give_back(self, _encoded: object = None) -> None:
        """Record that an encoding has ended."""
        with self._lock:
            self._num_users -= 1
            if not self._num_users:
                self._writers.release()

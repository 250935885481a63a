"""One request's place among the writers that may wait for the document encoder."""

import threading


class EncoderSlot:
    """A place that is held while something of its request is encoded, and at no other time.

    A client that sends its bulk slowly, or writes nothing that is encoded, takes no place from others.

    Args:
        writers: the places of all requests.
    """

    def __init__(self, writers: threading.Semaphore) -> None:
        self._writers = writers
        self._num_users = 0
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Hold the place for one more encoding; return whether there is one. Each is to be given back."""
        with self._lock:
            if not self._num_users and not self._writers.acquire(blocking=False):
                return False
            self._num_users += 1
            return True

    def give_back(self, _encoded: object = None) -> None:
        """Note that an encoding has ended."""
        with self._lock:
            self._num_users -= 1
            if not self._num_users:
                self._writers.release()

"""A request on its way in: the bytes that have come so far, and whether a thread could answer it now."""

import re

MAX_HELD_BYTES = 64 * 1024
"""A request up to this size is waited for whole; a longer one is read by the thread that answers it."""

_LENGTH = re.compile(rb"^content-length:[ \t]*([0-9]{1,18})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_CHUNKED = re.compile(rb"^transfer-encoding:", re.IGNORECASE | re.MULTILINE)
_EXPECT = re.compile(rb"^expect:", re.IGNORECASE | re.MULTILINE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class WaitingRequest:
    """Collects one request's first bytes.

    Only the head's end and the body's length are looked for; what the bytes mean, and whether they are a
    request at all, gunicorn's parser says later. So whatever looks odd here is simply given to it.
    """

    def __init__(self, received: bytes = b"") -> None:
        self._received = bytearray(received)
        self._end: int | None = None
        self._is_long = False
        self._look()

    def add(self, received: bytes) -> None:
        """Take what has come."""
        self._received += received
        self._look()

    @property
    def received(self) -> bytes:
        """All that has come."""
        return bytes(self._received)

    @property
    def is_whole(self) -> bool:
        """Whether everything is there, so that no thread would wait for this client."""
        return self._end is not None and len(self._received) >= self._end

    @property
    def is_long(self) -> bool:
        """Whether the rest is read while it is answered: it is too long to be held, or of unknown length."""
        return self._is_long and not self.is_whole

    def _look(self) -> None:
        if self._end is not None or (self._is_long and not self._is_chunked_end()):
            return
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            self._is_long = len(self._received) > MAX_HELD_BYTES
            return
        head, begin = bytes(self._received[: head_end + 2]), head_end + 4
        if _CHUNKED.search(head) or _EXPECT.search(head):
            self._is_long = True
            self._end = len(self._received) if self._is_chunked_end() else None
            return
        lengths = _LENGTH.findall(head)
        self._end = begin + max(map(int, lengths), default=0)
        if self._end > MAX_HELD_BYTES:
            self._end, self._is_long = None, len(self._received) < self._end

    def _is_chunked_end(self) -> bool:
        return self._received.endswith(_LAST_CHUNK)

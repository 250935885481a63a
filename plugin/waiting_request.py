"""A request on its way in: the bytes that have come so far, and whether a thread could answer it now."""

import re

MAX_HELD_BYTES = 64 * 1024
"""A request up to this size is waited for whole; a longer one is read by the thread that answers it."""

_LENGTH = re.compile(rb"^content-length:[ \t]*([0-9]{1,18})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_READ_WHILE_ANSWERED = re.compile(rb"^(?:transfer-encoding|expect):", re.IGNORECASE | re.MULTILINE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class WaitingRequest:
    """Collects one request's first bytes.

    Only the head's end and the body's length are looked for; what the bytes mean, and whether they are a
    request at all, gunicorn's parser says later.

    Attributes:
        is_whole: everything is there, so that no thread would wait for this client.
        is_long: the rest is read while it is answered: too long to be held, of a length that is not told, or
            a client that waits to be asked for the body.
    """

    def __init__(self, received: bytes = b"") -> None:
        self._received = bytearray(received)
        self._end: int | None = None
        self.is_whole = self.is_long = False
        self._look()

    def add(self, received: bytes) -> None:
        """Take what has come."""
        self._received += received
        self._look()

    @property
    def received(self) -> bytes:
        """All that has come."""
        return bytes(self._received)

    def _look(self) -> None:
        if self._end is None:
            self._look_at_head()
        if self._end is not None:
            self.is_whole = len(self._received) >= self._end
            self.is_long = not self.is_whole and self._end > MAX_HELD_BYTES

    def _look_at_head(self) -> None:
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            if b"\n\n" in self._received:  # lines that end as they may not: whole, so that it is refused now
                self._received += b"\r\n\r\n"
                self._end = len(self._received)
            self.is_long = len(self._received) > MAX_HELD_BYTES
            return
        head = bytes(self._received[: head_end + 2])
        if _READ_WHILE_ANSWERED.search(head):
            self.is_whole = self._received.endswith(_LAST_CHUNK)
            self.is_long = not self.is_whole
        else:
            lengths = _LENGTH.findall(head)  # of two nothing is awaited: the parser refuses them
            self._end = head_end + 4 + (int(lengths[0]) if len(lengths) == 1 else 0)

"""A request that is still arriving: its bytes so far, and whether a thread could answer it now."""

import re

MAX_HELD_BYTES = 64 * 1024
"""A request up to this size is buffered whole; a longer one is read by the thread that answers it.

The head is always buffered whole, up to the limit of `--max-head-bytes`.
"""

_LENGTH = re.compile(rb"^content-length:[ \t]*([0-9]{1,18})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_READ_WHILE_ANSWERED = re.compile(rb"^(?:transfer-encoding|expect):", re.IGNORECASE | re.MULTILINE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class BufferedRequest:
    """Collects one request's first bytes.

    It looks only for the end of the head and the length of the body. gunicorn's parser decides later what the
    bytes mean, and whether they are a request at all.

    Attributes:
        is_whole: everything has arrived, so that no thread would wait for this client.
        is_long: the rest is read while it is answered: it is too long to be buffered, its length is unknown,
            or its client waits for a 100 before it sends the body.
        is_too_long: its head is longer than `max_head_bytes`.
    """

    def __init__(self, received: bytes = b"", *, max_head_bytes: int = MAX_HELD_BYTES) -> None:
        self._received = bytearray(received)
        self._max_head_bytes = max_head_bytes
        self._searched = 0
        self._end: int | None = None
        self.is_whole = self.is_long = self.is_too_long = False
        self._look()

    def add(self, received: bytes) -> None:
        """Add bytes that have arrived."""
        self._received += received
        self._look()

    @property
    def received(self) -> bytes:
        """All bytes so far."""
        return bytes(self._received)

    @property
    def is_line_too_long(self) -> bool:
        """Whether its first line alone is longer than a head may be."""
        return b"\r\n" not in self._received[: self._max_head_bytes]

    def _look(self) -> None:
        if self._end is None:
            self._look_at_head()
        if self._end is not None and not self.is_too_long:
            self.is_whole = len(self._received) >= self._end
            self.is_long = not self.is_whole and self._end > MAX_HELD_BYTES

    def _look_at_head(self) -> None:
        begin, self._searched = self._searched, max(0, len(self._received) - 3)  # no byte is searched twice
        head_end = self._received.find(b"\r\n\r\n", begin)
        self.is_too_long = (len(self._received) if head_end < 0 else head_end) > self._max_head_bytes
        if head_end < 0:
            if b"\n\n" in self._received[begin:]:  # wrong line ends: complete, so that the parser refuses it
                self._received += b"\r\n\r\n"
                self._end = len(self._received)
            return
        if self.is_too_long:
            return
        head = bytes(self._received[: head_end + 2])
        if _READ_WHILE_ANSWERED.search(head):
            self.is_whole = self._received.endswith(_LAST_CHUNK)
            self.is_long = not self.is_whole
        else:
            lengths = _LENGTH.findall(head)  # with two lengths, do not wait: the parser refuses them
            self._end = head_end + 4 + (int(lengths[0]) if len(lengths) == 1 else 0)

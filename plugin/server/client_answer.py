"""How an answer is written to a client: its head, and how the end of its body is told."""

from collections.abc import Iterable
from dataclasses import dataclass

from gunicorn.http.errors import InvalidResponseHeader

from plugin.http.headers import HOP_BY_HOP, RawHeaders
from plugin.server.client_request import ClientRequest

_DROPPED = frozenset(name.encode() for name in HOP_BY_HOP)
_NO_CONTENT, _NOT_MODIFIED, _FINAL = 204, 304, 200


@dataclass(frozen=True, slots=True)
class AnswerFraming:
    """The head of an answer, and the frame of its body.

    Attributes:
        head: status line and headers.
        has_body: whether a body follows.
        is_chunked: whether it goes in chunks.
        closes: whether the connection ends with it.
        num_bytes: how long the body is, None if it is not known.
    """

    head: bytes
    has_body: bool
    is_chunked: bool
    closes: bool
    num_bytes: int | None

    def frame(self, block: bytes) -> bytes:
        """Return what is sent for a block of the body."""
        if not self.has_body or not block:
            return b""
        return b"%x\r\n%b\r\n" % (len(block), block) if self.is_chunked else block

    @property
    def end(self) -> bytes:
        """What is sent after the last block."""
        return b"0\r\n\r\n" if self.is_chunked else b""


def frame_answer(
    request: ClientRequest, status_line: bytes, headers: RawHeaders, keep_alive_s: int, *, is_last: bool
) -> AnswerFraming:
    """Return how an answer with these end-to-end headers is written.

    Args:
        request: what is answered; None of its body needs to have been read.
        status_line: status and reason.
        headers: the headers, with `Content-Length` if the length is known.
        keep_alive_s: how long the connection is kept afterwards, in seconds; 0: not at all.
        is_last: whether no further request is answered on this connection.

    Raises:
        InvalidResponseHeader: a header would begin another line.
    """
    status = int(status_line[:3])
    has_body = request.method != b"HEAD" and status >= _FINAL and status not in (_NO_CONTENT, _NOT_MODIFIED)
    kept, length = _keep(headers, forbids_length=status == _NO_CONTENT)
    is_chunked = has_body and length is None and not request.is_http_1_0
    is_open_ended = has_body and length is None and not is_chunked
    closes = is_last or is_open_ended or not request.keeps_connection or not keep_alive_s
    version = b"HTTP/1.0 " if request.is_http_1_0 else b"HTTP/1.1 "
    lines = [version + status_line, *kept]
    if is_chunked:
        lines.append(b"Transfer-Encoding: chunked")
    lines += (
        [b"Connection: close"]
        if closes
        else [b"Connection: keep-alive", b"Keep-Alive: timeout=%d" % keep_alive_s]
    )
    head = b"\r\n".join([*lines, b"\r\n"])
    if not head.count(b"\n") == head.count(b"\r") == len(lines) + 1 or b"\0" in head:
        raise InvalidResponseHeader("a control character in a header of the response")
    return AnswerFraming(head, has_body, is_chunked, closes, length)


def _keep(headers: Iterable[tuple[bytes, bytes]], *, forbids_length: bool) -> tuple[list[bytes], int | None]:
    """Return the lines of the end-to-end headers, and the length that they tell."""
    lines, length = [], None
    for name, value in headers:
        lower = name.lower()
        if lower in _DROPPED:
            continue
        if lower == b"content-length":
            if forbids_length:
                continue
            length = int(value)
        lines.append(b"%b: %b" % (name, value))
    return lines, length

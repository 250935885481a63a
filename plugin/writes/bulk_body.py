"""A bulk's body: kept, on disk if it is long, since it may have to be sent twice."""

import gzip
import zlib
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import IO

from plugin.http.messages import BLOCK_BYTES, Request

IN_MEMORY_BYTES = 256 * 1024

MAX_CONTENT_BYTES = 100 * 1024 * 1024
"""What OpenSearch accepts, unpacked (`http.max_content_length`): more is neither kept nor unpacked."""


class BulkBody:
    """Yields a body's blocks, unpacked, as they arrive; after the first time, from what was kept.

    `num_bytes` is the length of the unpacked body; a packed or chunked body is read to its end to know it.
    `is_unread`: the body is damaged, or longer than OpenSearch accepts, and is sent as it came; `sent_bytes`
    is its length then, None if it comes in chunks.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._kept: IO[bytes] = SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115  # closed by close
        self._arriving = self._tee()
        is_packed = request.header("content-encoding").lower() == "gzip"
        self.is_unread = False
        self.sent_bytes = request.content_length
        if request.content_length is not None and not is_packed:
            self.num_bytes = request.content_length
            return
        for _ in self._arriving:
            if self._kept.tell() > MAX_CONTENT_BYTES:  # a zip bomb, or no bulk: left to OpenSearch
                self.is_unread = True
                break
        self.num_bytes = self._kept.tell()
        if is_packed and not self.is_unread:
            self._unpack()

    def blocks(self) -> Iterator[bytes]:
        """Yield the body from its beginning.

        Raises:
            ClientDisconnectedError: the client left before it had sent everything.
        """
        self._kept.seek(0)
        while block := self._kept.read(BLOCK_BYTES):
            yield block
        for block in self._arriving:  # closing this generator must not close that one
            yield block

    def close(self) -> None:
        """Give the space back."""
        self._kept.close()

    def _tee(self) -> Iterator[bytes]:
        for block in self._request.blocks():
            if self._kept.tell() <= MAX_CONTENT_BYTES:
                self._kept.write(block)
            yield block

    def _unpack(self) -> None:
        self._kept.seek(0)
        plain: IO[bytes] = SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115
        try:
            with gzip.GzipFile(fileobj=self._kept, mode="rb") as unpacked:
                while plain.tell() <= MAX_CONTENT_BYTES and (block := unpacked.read(BLOCK_BYTES)):
                    plain.write(block)
        except (OSError, EOFError, zlib.error):
            self.is_unread = True
        if self.is_unread or plain.tell() > MAX_CONTENT_BYTES:
            self.is_unread = True
            plain.close()
            return
        self._kept.close()
        self._kept, self.num_bytes = plain, plain.tell()

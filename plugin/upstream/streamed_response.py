"""An answer of OpenSearch that is read while it is passed on, by a thread or on an event loop."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse

from plugin.errors import UpstreamError
from plugin.http.headers import Headers, keep_end_to_end
from plugin.http.messages import BLOCK_BYTES
from plugin.http.suspension import suspend
from plugin.upstream.connection import Connection
from plugin.upstream.faults import translate_fault
from plugin.upstream.host import Host
from plugin.upstream.streamed_answer import StreamedAnswer


class StreamedResponse(ABC):
    """An answer that is read while it is passed on.

    Iterating yields the body's blocks as they arrive. `close` releases the connection if everything was read,
    and closes it otherwise, so that OpenSearch notices a disconnected client.
    """

    status: int
    reason: str
    headers: Headers

    @abstractmethod
    def __iter__(self) -> Iterator[bytes]:
        """Yield the blocks.

        Raises:
            UpstreamError: the rest does not come.
        """

    @abstractmethod
    def close(self) -> None:
        """Stop reading."""


class BlockingResponse(StreamedResponse):
    """An answer that a thread reads."""

    def __init__(self, host: Host, connection: Connection, response: HTTPResponse) -> None:
        self._host = host
        self._connection = connection
        self._response = response
        self._is_released = False
        self.status = response.status
        self.reason = response.reason
        self.headers = keep_end_to_end(response.getheaders())

    def __iter__(self) -> Iterator[bytes]:
        try:
            while block := self._response.read1(BLOCK_BYTES):
                yield block
        except (HTTPException, OSError) as error:
            self.close()
            raise translate_fault(error, self._host.url) from error
        missing = self._response.length
        if missing:  # raising makes gunicorn close the client's connection too
            self.close()
            raise UpstreamError(f"{self._host.url} broke off {missing} bytes early")

    def close(self) -> None:
        """Release the connection, only once: later it may belong to another request."""
        if not self._is_released:
            self._is_released = True
            self._host.release(self._connection, self._response)


class SuspendingResponse(StreamedResponse):
    """An answer that is read by code on an event loop."""

    def __init__(self, answer: StreamedAnswer) -> None:
        self._answer = answer
        self.status, self.reason = answer.status, answer.reason.decode("latin-1")
        self.headers = tuple(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers
        )

    def __iter__(self) -> Iterator[bytes]:
        try:
            while block := suspend(self._answer.read_block()):
                yield block
        finally:  # if the client has gone, OpenSearch must not wait for a reader
            self.close()

    def close(self) -> None:
        """Stop reading; if something is left, the connection is closed."""
        self._answer.close()

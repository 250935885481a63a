"""A WSGI application behind an event loop: it runs in threads, which the loop feeds and empties."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from plugin.http.headers import Environ
from plugin.http.messages import read_origin_form
from plugin.http.request_queue import keep_queued_s, request_queue
from plugin.http.underscored_headers import keep_underscored
from plugin.server.client_answer import AnswerFraming, frame_answer
from plugin.server.client_connection import ClientConnection
from plugin.server.client_request import ClientRequest

Application = Callable[[Environ, Any], Iterable[bytes]]


class WholeBody(BytesIO):
    """A body that has arrived; attributes travel with it."""


class ArrivingBody:
    """A body that a thread reads while it arrives.

    Args:
        read_block: reads more on the loop.
        loop: the loop.
    """

    def __init__(
        self, request: ClientRequest, connection: ClientConnection, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._request, self._connection, self._loop = request, connection, loop
        self._read, self._is_over = bytearray(), False

    def read(self, size: int = -1, /) -> bytes:
        """Return `size` bytes, or all; fewer at the end.

        Raises:
            ClientDisconnectedError: the rest does not come.
            ParseError: the rest is no body.
        """
        while not self._is_over and (size < 0 or len(self._read) < size):
            reading = self._connection.read_block(self._request)
            block = asyncio.run_coroutine_threadsafe(reading, self._loop).result()
            self._is_over = not block
            self._read += block
        end = len(self._read) if size < 0 else size
        content = bytes(self._read[:end])
        del self._read[:end]
        return content


class ThreadedAnswers:
    """Answers by an application, in a bounded number of threads.

    Args:
        application: the application.
        num_threads: for requests that have arrived whole.
        num_long: for those whose body or answer is longer.
        keep_alive_s: how long an idle connection is kept, in seconds.
    """

    def __init__(self, application: Application, num_threads: int, num_long: int, keep_alive_s: int) -> None:
        self._application, self._keep_alive_s = application, keep_alive_s
        self._short = ThreadPoolExecutor(num_threads, "answer")
        self._long = ThreadPoolExecutor(num_long, "long")

    async def answer(
        self,
        request: ClientRequest,
        connection: ClientConnection,
        is_last: Callable[[], bool],
        waited_s: float,
    ) -> AnswerFraming:
        """Answer one request that has waited for the loop for `waited_s` seconds.

        Raises:
            Exception: whatever the application raises before its answer begins.
        """
        loop = asyncio.get_running_loop()
        body: WholeBody | ArrivingBody
        if request.is_whole:
            body, pool, is_short = WholeBody(request.take_body()), self._short, True
        else:
            body, pool, is_short = ArrivingBody(request, connection, loop), self._long, False
        queued = _Queued() if is_short else None
        queued_at_s = time.monotonic() - waited_s

        def run() -> tuple[AnswerFraming, bytes]:
            if queued is not None:
                queued.leave()
            keep_queued_s(body, max(0.0, time.monotonic() - queued_at_s))
            return self._run(request, connection, body, loop, is_last)

        try:
            framing, rest = await loop.run_in_executor(pool, run)
        finally:
            if queued is not None:  # no thread has taken it, if the client has left before
                queued.leave()
        connection.write(rest)
        await connection.drain()
        return framing

    def close(self) -> None:
        """Let the threads end."""
        self._short.shutdown(wait=False)
        self._long.shutdown(wait=False)

    def _run(
        self,
        request: ClientRequest,
        connection: ClientConnection,
        body: WholeBody | ArrivingBody,
        loop: asyncio.AbstractEventLoop,
        is_last: Callable[[], bool],
    ) -> tuple[AnswerFraming, bytes]:
        """Run the application, in a thread; return how the answer is framed, and what is left to write."""
        begun: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
            begun.append((status, headers))

        with connection.watched_socket() as client:
            environ = build_environ(request, connection, body)
            environ["gunicorn.socket"] = client
            blocks = self._application(environ, start_response)
            try:
                status, headers = begun[-1]
                encoded = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers)
                framing = frame_answer(
                    request, status.encode("latin-1"), encoded, self._keep_alive_s, is_last=is_last()
                )
                if isinstance(blocks, list):
                    content = b"".join(blocks)
                    return framing, framing.head + framing.frame(content) + framing.end
                pending = framing.head
                for block in blocks:
                    data, pending = pending + framing.frame(block), b""
                    asyncio.run_coroutine_threadsafe(_write(connection, data), loop).result()
                return framing, pending + framing.end
            finally:
                close = getattr(blocks, "close", None)
                if close is not None:
                    close()


class _Queued:
    """A request in the queue for a thread; it leaves once, whoever takes it out."""

    def __init__(self) -> None:
        request_queue.add()
        self._places = [None]

    def leave(self) -> None:
        with suppress(IndexError):
            self._places.pop()
            request_queue.remove()


async def _write(connection: ClientConnection, data: bytes) -> None:
    connection.write(data)
    await connection.drain()


def build_environ(request: ClientRequest, connection: ClientConnection, body: object) -> Environ:
    """Return the WSGI environment of a request, with what gunicorn adds to it."""
    raw_target = request.target.decode("latin-1")
    path, _, query = read_origin_form(raw_target).partition("?")
    server = connection.server if isinstance(connection.server, tuple) else ("", 0)
    address = connection.address if isinstance(connection.address, tuple) else ("", 0)
    environ: Environ = {
        "REQUEST_METHOD": request.method.decode("latin-1"),
        "RAW_URI": raw_target,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SCRIPT_NAME": "",
        "SERVER_NAME": str(server[0]),
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": "HTTP/1.0" if request.is_http_1_0 else "HTTP/1.1",
        "REMOTE_ADDR": str(address[0]),
        "REMOTE_PORT": str(address[1]),
        "wsgi.url_scheme": "https" if connection.is_tls else "http",
        "wsgi.version": (1, 0),
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    underscored = []
    for raw_name, raw_value in request.headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if "_" in name:
            underscored.append((name.title(), value))
            continue
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    keep_underscored(body, underscored)
    return environ

"""A buffering worker: gunicorn's worker with threads, but no thread waits for a client to send its request.

`accept`, `enqueue_req` -> `_receive` (in the main loop, without waiting) -> `_dispatch` (to a thread)

In gunicorn's own worker, a client that sends slowly holds a thread. Closing a connection waits for the client
up to two seconds in the main loop (`python -m tests.benchmarks.slow_clients`).
"""

import errno
import mmap
import select
import selectors
import signal
import socket
import ssl
import struct
import time
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from gunicorn import http
from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import UnsupportedTransferCoding
from gunicorn.sock import ssl_wrap_socket
from gunicorn.workers.gthread import TConn, ThreadWorker

from plugin.encoding.admission import MAX_WAITING_REQUESTS
from plugin.http.request_queue import keep_queued_s, request_queue
from plugin.server.buffered_request import MAX_HELD_BYTES, BufferedRequest
from plugin.server.client_errors import build_refusal, build_timeout, build_too_long, is_client_error
from plugin.server.client_options import ClientOptions
from plugin.server.keep_alive import announce_keep_alive

LINGER_S = 2.0
"""How long a finished connection is kept, so that its client can close it (RFC 9112, section 9.6)."""

LONG_THREADS = 16
"""Threads for long requests in one worker; buffered requests have their own."""

MAX_UNREAD = 2 * MAX_WAITING_REQUESTS
"""Requests that may wait for a thread of one worker. While more wait, no further request is read."""

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
"""Signals that stop a worker. The master blocks them until the worker has its handlers."""

NO_FILES_S = 0.2
"""How long no connection is accepted if this process has no files or memory left for one."""

_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError)
_PASSING = (errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED)
_SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@dataclass
class _Held:
    request: BufferedRequest
    ends_s: float


class BufferingWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """One worker process."""

    wsgi: Any

    def __init__(self, *arguments: Any) -> None:  # noqa: ANN401  # gunicorn's own
        super().__init__(*arguments)
        self._ready = mmap.mmap(-1, 1)  # shared with the master, which makes this object before it forks
        self._held: OrderedDict[TConn, _Held] = OrderedDict()
        self._lingering: OrderedDict[socket.socket, float] = OrderedDict()
        self._long: ThreadPoolExecutor
        self._is_closed = False
        self._accepts_from_s = 0.0
        self._clients: ClientOptions = getattr(self.app, "clients", ClientOptions())

    @property
    def is_ready(self) -> bool:
        """Whether it has loaded the application and answers; the master may ask."""
        return self._ready[0] == 1

    def init_process(self) -> None:
        """Begin in the worker's own process."""
        self._long = ThreadPoolExecutor(LONG_THREADS, "long")
        super().init_process()

    def load_wsgi(self) -> None:
        """Load the application, and announce how long its connections are kept."""
        super().load_wsgi()
        self.wsgi = announce_keep_alive(self.wsgi, self._clients.keep_alive_s)

    def init_signals(self) -> None:
        """Install the handlers, then unblock signals, including those since the fork."""
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)

    def run(self) -> None:
        """Answer requests until stopped."""
        self._ready[0] = 1
        super().run()

    def accept(self, listener: socket.socket) -> None:
        """Accept a new connection."""
        self._try_accept(listener)

    def _try_accept(self, listener: socket.socket) -> bool:
        """Accept a new connection; return False if there is none."""
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in _SCARCE:
                self._rest_accepting(error)
            elif error.errno not in _PASSING:
                raise
            return False
        self._begin(TConn(self.cfg, client, address, listener.getsockname()))
        return True

    def _rest_accepting(self, error: OSError) -> None:
        """Accept nothing for a moment. The connections wait in the port's queue, and none is lost."""
        self.log.warning("no connection can be accepted for %g s: %s", NO_FILES_S, error)
        self._accepts_from_s = time.monotonic() + NO_FILES_S
        super().set_accept_enabled(False)

    def _begin(self, conn: TConn) -> None:
        self.nr_conns += 1
        if self.nr_conns >= self.worker_connections and self._held:
            self._time_out(next(iter(self._held)))  # the slowest client makes room
        _limit_silence(conn.sock, self._clients.stall_timeout_s)
        conn.initialized = True
        try:
            if self.cfg.is_ssl:  # the handshake is part of the first read
                conn.sock = ssl_wrap_socket(conn.sock, self.cfg)
        except OSError:
            self._close(conn)
            return
        conn.parser = http.get_parser(self.cfg, conn.sock, conn.client)
        self._receive(conn, self._new_request())

    def enqueue_req(self, conn: TConn) -> None:
        """Read the next request of a kept connection."""
        conn.sock.setblocking(False)
        self._receive(conn, self._new_request(conn.parser.unreader.take_buffered()))

    def handle(self, conn: TConn) -> Any:  # noqa: ANN401  # gunicorn's own
        """Answer one request in a thread."""
        if not conn.is_long:
            request_queue.remove()
        conn.queued_s = max(0.0, time.monotonic() - conn.received_s)
        return super().handle(conn)

    def handle_request(self, req: Any, conn: TConn) -> Any:  # noqa: ANN401  # gunicorn's own
        """Answer a parsed request; trailers after its chunks have the same limit as its head."""
        _refuse_codings(req)
        if isinstance(req.body.reader, ChunkedReader):
            req.body.reader.limit_trailer_section = self._clients.max_head_bytes
        keep_queued_s(req.body, conn.queued_s)
        return super().handle_request(req, conn)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:  # noqa: ANN401
        """Answer an invalid request, or an unexpected error."""
        if is_client_error(exc):
            self.log.warning("Invalid request from ip=%s: %s", addr[0] if addr else "", exc)
        else:
            self.log.exception("Error handling request %s", getattr(req, "uri", "(no URI read)"))
        with suppress(OSError):
            client.sendall(build_refusal(exc, is_head=getattr(req, "method", "") == "HEAD"))

    def finish_request(self, conn: TConn, fs: "Future[Any]") -> None:
        """Keep a connection for the next request, or close it."""
        is_kept = not fs.cancelled() and fs.exception() is None and fs.result()
        if is_kept:
            super().finish_request(conn, fs)
        else:
            self._linger(conn)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Read what arrives. If too many requests wait, read nothing until one is answered."""
        if request_queue.length < MAX_UNREAD:
            super().wait_for_and_dispatch_events(timeout)
            return
        answered = select.poll()
        answered.register(self.method_queue.fileno(), select.POLLIN)
        if answered.poll(timeout * 1000):
            self.method_queue.run_callbacks(None)

    def murder_pending(self) -> None:
        """Close connections that have taken too long."""
        now_s = time.monotonic()
        for conn in [conn for conn, held in self._held.items() if held.ends_s <= now_s]:
            self._time_out(conn)
        for sock in [sock for sock, ends_s in self._lingering.items() if ends_s <= now_s]:
            self._end_linger(sock)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Accept new connections, or none. When stopping, accept those already made and no further ones.

        A worker that was asked to stop before it began is told to begin, and then to stop: it comes here
        twice.
        """
        if self.alive:
            super().set_accept_enabled(enabled and time.monotonic() >= self._accepts_from_s)
            return
        if self._is_closed:
            return
        self._is_closed = True
        for listener in self.sockets:
            while self._try_accept(listener):
                pass
        super().set_accept_enabled(False)
        for listener in self.sockets:
            listener.close()

    def _cap_keepalive(self, deadline: float) -> None:
        super()._cap_keepalive(deadline)
        for held in self._held.values():
            held.ends_s = min(held.ends_s, deadline)

    def _receive(self, conn: TConn, request: BufferedRequest) -> None:
        """Read what has arrived of a request; dispatch it, or wait for more."""
        while not (request.is_whole or request.is_long or request.is_too_long):
            try:
                received = conn.sock.recv(MAX_HELD_BYTES)
            except _NOT_NOW:
                self._hold(conn, request, selectors.EVENT_READ)
                return
            except ssl.SSLWantWriteError:
                self._hold(conn, request, selectors.EVENT_WRITE)
                return
            except OSError:
                received = b""
            if not received:
                self._close(conn)
                return
            request.add(received)
        if request.is_too_long:
            self._refuse(conn, request)
        else:
            self._dispatch(conn, request)

    def _new_request(self, received: bytes = b"") -> BufferedRequest:
        return BufferedRequest(received, max_head_bytes=self._clients.max_head_bytes)

    def _hold(self, conn: TConn, request: BufferedRequest, event: int) -> None:
        again = partial(self._resume, conn)
        if conn in self._held:
            self.poller.modify(conn.sock, event, again)
            return
        limit_s = self._clients.request_timeout_s if self.alive else LINGER_S
        self._held[conn] = _Held(request, time.monotonic() + limit_s)
        self.poller.register(conn.sock, event, again)

    def _resume(self, conn: TConn, _sock: socket.socket) -> None:
        self._receive(conn, self._held[conn].request)

    def _release(self, conn: TConn) -> None:
        if self._held.pop(conn, None) is not None:
            self.poller.unregister(conn.sock)

    def _dispatch(self, conn: TConn, request: BufferedRequest) -> None:
        self._release(conn)
        conn.parser.unreader.unread(request.received)
        conn.is_long = request.is_long
        conn.received_s = time.monotonic() if request.is_long else request_queue.add()
        answered = (self._long if request.is_long else self.tpool).submit(self.handle, conn)
        answered.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def _refuse(self, conn: TConn, request: BufferedRequest) -> None:
        """Answer a head that is too long, and give the client time to read the answer."""
        self._release(conn)
        limit = self._clients.max_head_bytes
        self.log.warning("Invalid request from ip=%s: a head of more than %d bytes", conn.client[0], limit)
        with suppress(OSError):
            conn.sock.send(build_too_long(limit, is_line=request.is_line_too_long))
        self._linger(conn)

    def _time_out(self, conn: TConn) -> None:
        """Close a connection whose client takes too long, with a 408 if it had begun a request."""
        if self._held[conn].request.received:
            with suppress(OSError):
                conn.sock.send(build_timeout(self._clients.request_timeout_s))
        self._close(conn)

    def _close(self, conn: TConn) -> None:
        self._release(conn)
        self.nr_conns -= 1
        conn.close()

    def _linger(self, conn: TConn) -> None:
        """Shut down writing, and give the client time to read before the connection is closed."""
        sock = conn.sock
        try:
            sock.setblocking(False)
            sock.shutdown(socket.SHUT_WR)
            self.poller.register(sock, selectors.EVENT_READ, self._on_lingering)
        except (OSError, ValueError):  # it was closed already
            self._close(conn)
            return
        self._lingering[sock] = time.monotonic() + LINGER_S

    def _on_lingering(self, sock: socket.socket) -> None:
        try:
            has_ended = not sock.recv(MAX_HELD_BYTES)
        except _NOT_NOW:
            return
        except OSError:
            has_ended = True
        if has_ended:
            self._end_linger(sock)

    def _end_linger(self, sock: socket.socket) -> None:
        del self._lingering[sock]
        self.poller.unregister(sock)
        self.nr_conns -= 1
        sock.close()


def _refuse_codings(req: Any) -> None:  # noqa: ANN401  # gunicorn's own
    """Refuse a body in another coding than chunks, which would be passed on without it.

    Raises:
        UnsupportedTransferCoding: there is one.
    """
    for name, value in req.headers:
        if name == "TRANSFER-ENCODING" and value.strip().lower() != "chunked":
            raise UnsupportedTransferCoding(value)


def _limit_silence(client: socket.socket, limit_s: float) -> None:
    """Limit how long a read or a write may wait; the system counts from the last byte."""
    limit = struct.pack("ll", int(limit_s), 0)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

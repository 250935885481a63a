"""A worker with one event loop, which serves all connections.

What is passed through, and most searches, stay on the loop; threads answer all else. The worker stops in the
order of the buffering one: connections that were made are accepted and answered, kept ones stay open for a
moment, and the last answer of each says that it closes.
"""

import asyncio
import logging
import mmap
import os
import signal
import socket
import ssl
from contextlib import suppress
from typing import Any

from gunicorn.sock import ssl_context
from gunicorn.workers.base import Worker

from plugin.proxy import Proxy
from plugin.server.client_answer import AnswerFraming
from plugin.server.client_connection import ClientConnection
from plugin.server.client_options import ClientOptions
from plugin.server.client_request import ClientRequest
from plugin.server.loop_lag import LoopLag
from plugin.server.loop_proxy import LoopProxy
from plugin.server.threaded_answers import ThreadedAnswers
from plugin.server.worker import LONG_THREADS, MAX_UNREAD, NO_FILES_S, STOPPING
from plugin.upstream.exchange import AsyncUpstream

BEAT_S = 1.0
"""How often the master is told that this worker lives."""

HANDSHAKE_S = 0.1
"""How long handshakes may still take that began before the port drops new ones."""

_log = logging.getLogger("twinrank")


class LoopWorker(Worker):  # type: ignore[misc]  # gunicorn has no types
    """One worker process."""

    wsgi: Proxy

    def __init__(self, *arguments: Any) -> None:  # noqa: ANN401  # gunicorn's own
        super().__init__(*arguments)
        self._ready = mmap.mmap(-1, 1)  # shared with the master, which makes this object before it forks
        self.clients: ClientOptions = getattr(self.app, "clients", ClientOptions())
        self._connections: set[ClientConnection] = set()
        self._loop: asyncio.AbstractEventLoop
        self._proxy: LoopProxy
        self._lag: LoopLag
        self._slots: asyncio.Semaphore
        self._tls: ssl.SSLContext | None = None
        self._is_accepting = False
        self._accepted: set[asyncio.Task[None]] = set()
        self._stopped: asyncio.Event

    @property
    def is_ready(self) -> bool:
        """Whether it has loaded the application and answers; the master may ask."""
        return self._ready[0] == 1

    @property
    def is_stopping(self) -> bool:
        """Whether it answers what has come, and nothing more."""
        return not self.alive

    def init_process(self) -> None:
        """Begin in the worker's own process."""
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._stopped = asyncio.Event()
        super().init_process()

    def init_signals(self) -> None:
        """Install the handlers, then unblock signals, including those since the fork."""
        super().init_signals()
        signal.set_wakeup_fd(-1)  # asyncio has its own
        self._loop.add_signal_handler(signal.SIGTERM, self._stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)

    def run(self) -> None:
        """Answer requests until stopped."""
        self._loop.run_until_complete(self._serve())

    def opened(self, connection: ClientConnection) -> None:
        """Count a connection. The longest waiting one makes room for it if there are too many."""
        self._connections.add(connection)
        if len(self._connections) >= self.cfg.worker_connections:
            waiting = next(
                (each for each in self._connections if each.is_waiting and each is not connection), None
            )
            if waiting is not None:
                waiting.time_out()
        self._watch_listeners()

    def closed(self, connection: ClientConnection) -> None:
        """Count a connection no more."""
        self._connections.discard(connection)
        self._watch_listeners()

    async def answer(self, request: ClientRequest, connection: ClientConnection) -> AnswerFraming:
        """Answer one request. If too many wait, it waits unread until one is answered."""
        begun_s = self._loop.time() - self._lag.current_s()
        with self._lag.in_flight():
            async with self._slots:
                waited_s = self._loop.time() - begun_s
                return await self._proxy.answer(request, connection, lambda: not self.alive, waited_s)

    def _stop(self) -> None:
        self.alive = False
        self._stopped.set()

    async def _serve(self) -> None:
        keep_alive_s, proxy = self.clients.keep_alive_s, self.wsgi
        threads = ThreadedAnswers(proxy, self.cfg.threads, LONG_THREADS, keep_alive_s)
        proxy.upstream.hop = upstream = AsyncUpstream(proxy.upstream)
        self._slots = asyncio.Semaphore(self.cfg.threads + LONG_THREADS + MAX_UNREAD)
        self._proxy = LoopProxy(proxy, upstream, threads, keep_alive_s)
        self._lag = LoopLag(self._loop, proxy.record_lag)
        self._tls = ssl_context(self.cfg) if self.cfg.is_ssl else None
        for listener in self.sockets:
            listener.setblocking(False)
        self._watch_listeners()
        self._ready[0] = 1
        while self.alive and self.ppid == os.getppid():
            self.notify()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), BEAT_S)
        self.alive = False
        await self._finish()
        threads.close()
        upstream.close()

    async def _finish(self) -> None:
        """Accept what waits, close the port, and answer what has come."""
        self._watch_listeners()
        self._accept_all()
        await asyncio.sleep(HANDSHAKE_S)
        self._accept_all()
        for listener in self.sockets:
            listener.close()
        for connection in list(self._connections):
            connection.stop()
        ends_s = self._loop.time() + self.cfg.graceful_timeout
        while (self._connections or self._accepted) and self._loop.time() < ends_s:
            self.notify()
            await asyncio.sleep(0.02)
        for connection in list(self._connections):
            connection.abort()

    def _accept_all(self) -> None:
        """Accept every connection that waits."""
        for listener in self.sockets:
            while self._try_accept(listener):
                pass

    def _watch_listeners(self) -> None:
        """Accept connections while there is room for them."""
        self._set_accepting(accepts=self.alive and len(self._connections) < self.cfg.worker_connections)

    def _set_accepting(self, *, accepts: bool) -> None:
        if accepts == self._is_accepting:
            return
        self._is_accepting = accepts
        for listener in self.sockets:
            if accepts:
                self._loop.add_reader(listener.fileno(), self._try_accept, listener)
            else:
                self._loop.remove_reader(listener.fileno())

    def _try_accept(self, listener: socket.socket) -> bool:
        """Accept a new connection; return False if there is none."""
        try:
            client, _ = listener.accept()
        except ConnectionAbortedError:  # its client has gone; others may wait behind it
            return True
        except BlockingIOError:
            return False
        except OSError as error:
            self._rest_accepting(error)
            return False
        client.setblocking(False)
        task = self._loop.create_task(self._begin(client))
        self._accepted.add(task)
        task.add_done_callback(self._accepted.discard)
        return True

    def _rest_accepting(self, error: OSError) -> None:
        """Accept nothing for a moment: this process has no files or memory left for a connection.

        The listener stays readable, so the loop would do nothing but fail.
        """
        _log.warning("no connection can be accepted for %g s: %s", NO_FILES_S, error)
        self._set_accepting(accepts=False)
        self._loop.call_later(NO_FILES_S, self._watch_listeners)

    async def _begin(self, client: socket.socket) -> None:
        """Begin a connection, with its handshake if it speaks TLS."""
        limit_s = self.clients.request_timeout_s if self._tls else None
        try:
            await self._loop.connect_accepted_socket(
                lambda: ClientConnection(self), client, ssl=self._tls, ssl_handshake_timeout=limit_s
            )
        except (OSError, ssl.SSLError) as error:
            _log.debug("a connection ended before its first request: %s", error)
            client.close()

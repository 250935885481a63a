"""A wire between client and server that a test can cut, mend and hold."""

import contextlib
import math
import socket
import threading
from urllib.parse import urlsplit


class Relay:
    """Passes bytes between its own port and a server, until it is cut."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "", parts.port or 0)
        self._open: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self._port = 0
        self._is_silent = False
        self._passes = threading.Event()
        self._passes.set()
        self._most_answered: float = math.inf
        self._awaiting: set[socket.socket] = set()
        self.num_connections = 0
        self.num_held = 0
        self.num_left = 0
        self.mend()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"http://127.0.0.1:{self._port}"

    def cut(self) -> None:
        """Drop every connection and take no new one."""
        if self._listener:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        self._listener = None
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def hang(self) -> None:
        """Drop every connection; take new ones, but answer nothing."""
        self.cut()
        self._listen(is_silent=True)

    def mend(self) -> None:
        """Listen again, on the same port."""
        self.cut()
        self._listen(is_silent=False)

    def hold(self) -> None:
        """Keep what clients send until `release`; `num_held` counts it, block by block."""
        self.num_held = 0
        self._passes.clear()

    def hold_answers(self, beyond: int) -> None:
        """Keep what the server says on a connection beyond so many bytes, until `release`.

        `num_held` counts it as for `hold`, and `num_left` the clients that leave without having got it.
        """
        self.num_held = self.num_left = 0
        self._most_answered = beyond
        self._passes.clear()

    def release(self) -> None:
        """Pass everything on again."""
        self._most_answered = math.inf
        self._passes.set()

    def _listen(self, *, is_silent: bool) -> None:
        self._is_silent = is_silent
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                self.num_connections += 1
                if self._is_silent:
                    self._open.append(client)
                    continue
                server = socket.create_connection(self._server)
                self._open += [client, server]
                for source, target, is_request in ((client, server, True), (server, client, False)):
                    threading.Thread(
                        target=self._pump, args=(source, target, is_request), daemon=True
                    ).start()

    def _keeps(self, num_passed: int, is_request: bool) -> bool:
        """Whether a block is held: what a client sends, or what goes beyond the most of answers."""
        if self._most_answered == math.inf:
            return is_request
        return not is_request and num_passed > self._most_answered

    def _pump(self, source: socket.socket, target: socket.socket, is_request: bool) -> None:
        num_passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                num_passed += len(data)
                if not self._passes.is_set() and self._keeps(num_passed, is_request):
                    self._awaiting |= set() if is_request else {target}
                    self.num_held += 1
                    self._passes.wait()
                target.sendall(data)
        self.num_left += source in self._awaiting
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

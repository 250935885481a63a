"""One address of OpenSearch, and the idle connections to it."""

import errno
import ssl
import threading
from http.client import HTTPException, HTTPResponse
from urllib.parse import urlsplit

from plugin.upstream.connection import Connection, TlsConnection, is_readable

DEFAULT_PORTS = {"http": 9200, "https": 443}

_AWAY = frozenset({502, 503, 504})
_FAULTS = (HTTPException, OSError)
_OWN_FAULTS = frozenset({
    errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM,
})  # fmt: skip


class NotConnectedError(OSError):
    """There is no connection, so nothing was sent; its `__cause__` says why."""

    @property
    def is_own(self) -> bool:
        """Whether this machine lacks what a connection needs: files, ports, memory."""
        return isinstance(self.__cause__, OSError) and self.__cause__.errno in _OWN_FAULTS


class Host:
    """A pool of connections to one address.

    Args:
        url: scheme, host and port; a path is not supported. A user in it is not used here.
        connect_timeout_s: longest wait for a connection, its TLS handshake included.
        read_timeout_s: longest silence while an answer is awaited or read.
        max_idle: how many unused connections are kept.
        context: what verifies an https address; None: the system's certificates.

    Raises:
        ValueError: the URL is not http or https with a host.
    """

    def __init__(
        self,
        url: str,
        *,
        connect_timeout_s: float,
        read_timeout_s: float,
        max_idle: int,
        context: ssl.SSLContext | None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname or parts.path not in ("", "/"):
            shown = url.rpartition("@")[2]
            raise ValueError(f"expected an upstream such as http://127.0.0.1:9200, found {shown!r}")
        self.url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self.name, self.port = parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme]
        self.base = f"{parts.scheme}://{_format_authority(parts.scheme, self.name, self.port)}"
        """The address that signatures use."""
        self.context = (context or ssl.create_default_context()) if parts.scheme == "https" else None
        self.connect_timeout_s, self.read_timeout_s = connect_timeout_s, read_timeout_s
        self.max_idle = max_idle
        self._idle: list[Connection] = []
        self._lock = threading.Lock()

    @property
    def num_idle(self) -> int:
        """How many connections are kept."""
        return len(self._idle)

    def take_idle(self, *, may_repeat: bool) -> Connection | None:
        """Take an idle connection that is still open; None if there is none for such a request.

        The last one used comes first: if that is too old, all are.
        """
        while True:
            with self._lock:
                if not self._idle or not self._idle[-1].is_fresh(may_repeat=may_repeat):
                    break
                connection = self._idle.pop()
            if not is_readable(connection):
                return connection
            connection.close()  # readable without a request: the other side has closed it
        self._close_old()
        return None

    def open_connection(self, *, read_timeout_s: float | None = None) -> Connection:
        """Return a new connection.

        Raises:
            NotConnectedError: there is none.
        """
        connection = self._new()
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise NotConnectedError(str(error)) from error
        connection.sock.settimeout(self.read_timeout_s if read_timeout_s is None else read_timeout_s)
        return connection

    def release(self, connection: Connection, response: HTTPResponse) -> None:
        """Keep the connection if it can carry another request, else close it."""
        is_reusable = connection.is_reusable_after(response)
        connection.record_release(response)
        response.close()
        with self._lock:
            if is_reusable and len(self._idle) < self.max_idle:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close the connections that are kept."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def answers(self) -> bool:
        """Whether it accepts a connection now, and answers as a node of a working cluster."""
        try:
            connection = self.open_connection(read_timeout_s=self.connect_timeout_s)
        except NotConnectedError:
            return False
        try:
            connection.request("GET", "/")
            return connection.getresponse().status not in _AWAY
        except _FAULTS:
            return False
        finally:
            connection.close()

    def _close_old(self) -> None:
        """Close idle connections that are too old for any request."""
        with self._lock:
            old = [each for each in self._idle if not each.is_fresh(may_repeat=True)]
            self._idle = [each for each in self._idle if each not in old]
        for connection in old:
            connection.close()

    def _new(self) -> Connection:
        if self.context is not None:
            return TlsConnection(self.name, self.port, timeout=self.connect_timeout_s, context=self.context)
        return Connection(self.name, self.port, timeout=self.connect_timeout_s)


def _format_authority(scheme: str, name: str, port: int) -> str:
    """Return what http.client sends as `Host`."""
    shown = f"[{name}]" if ":" in name else name
    return shown if port == {"http": 80, "https": 443}[scheme] else f"{shown}:{port}"

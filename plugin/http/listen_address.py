"""The address that a server listens on: read from an option, and checked before anything else starts."""

import errno
import os
import socket
from dataclasses import dataclass
from pathlib import Path

import click

from plugin.errors import CommandError

LOOPBACK = "127.0.0.1"
ANY = "0.0.0.0"  # noqa: S104  # `:9100` asks for it
LARGEST_PORT = 65535

_INHERITED = ("GUNICORN_FD", "LISTEN_FDS")
"""Set by a gunicorn that is being replaced, and by systemd: then this process has the open port already."""


class ListenError(CommandError):
    """The address cannot be used: says why."""


@dataclass(frozen=True)
class ListenAddress:
    """An address of this machine; `host` is a name or a number, an IPv6 one without brackets.

    `other` is a path (`unix:...`) or a descriptor (`fd://...`) for gunicorn, else empty.
    """

    host: str
    port: int
    other: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.other or f"{host}:{self.port}"

    def resolved(self) -> "ListenAddress":
        """Return the address with a number in place of its name, an IPv4 one if it has both.

        Raises:
            ListenError: the name cannot be resolved.
        """
        if self.other:
            return self
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise ListenError(
                f"expected an address of this machine to listen on, found {self.host!r}, which cannot be"
                f" resolved ({error}). Give 127.0.0.1 for this machine alone, 0.0.0.0 for all its addresses"
            ) from error
        *_, address = min(found, key=lambda each: each[0] != socket.AF_INET)
        return ListenAddress(str(address[0]), self.port)

    def check_free(self) -> None:
        """Check that a resolved address is free, without taking it from another process.

        Raises:
            ListenError: it cannot be used.
        """
        if self.other or any(name in os.environ for name in _INHERITED):
            return
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.host, self.port))
            except OSError as error:
                raise ListenError(self._refusal(error)) from error

    def _refusal(self, error: OSError) -> str:
        if error.errno == errno.EADDRINUSE:
            return f"{self} is in use: another process listens there. Stop it, or choose another port"
        if error.errno in (errno.EACCES, errno.EPERM):
            return f"this user may not listen on {self}: ports below 1024 need root. Choose a higher one"
        if error.errno == errno.EADDRNOTAVAIL:
            return (
                f"this machine has no address {self.host}. Give 127.0.0.1 for this machine alone, 0.0.0.0 for"
                " all its addresses"
            )
        return f"cannot listen on {self}: {error}"


class ListenType(click.ParamType[ListenAddress]):
    """Reads HOST:PORT, PORT, HOST or :PORT; the defaults are this machine alone and `default_port`."""

    name = "host:port"

    def __init__(self, default_port: int | None = None) -> None:
        self.default_port = default_port

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> ListenAddress:
        """Read an address, without resolving it."""
        if isinstance(value, ListenAddress):
            return value
        text = str(value).strip().removeprefix("tcp://")
        if text.startswith(("unix:", "fd://")) and self.default_port is not None:
            return self._other(text, param, ctx)
        host, port = _parts(text)
        number = int(port) if port.isascii() and port.isdigit() else None
        if not port and host:
            number = self.default_port
        if number is None or number > LARGEST_PORT or not _is_host(host):
            self.fail(
                "expected HOST:PORT such as 127.0.0.1:9101 or [::1]:9101, or a port from 0 to"
                f" {LARGEST_PORT}, found {str(value)!r}",
                param,
                ctx,
            )
        return ListenAddress(host, number)

    def _other(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> ListenAddress:
        """Check a descriptor's number, or the folder of a socket."""
        kind, _, rest = text.partition(":")
        place = rest.removeprefix("//")
        if kind == "fd" and not place.isdigit():
            self.fail(f"expected fd://NUMBER, found {text!r}", param, ctx)
        file = Path(place)
        if kind == "unix" and (
            not place or not file.parent.is_dir() or (file.exists() and not file.is_socket())
        ):
            self.fail(f"expected unix:PATH of a socket in a folder that exists, found {text!r}", param, ctx)
        return ListenAddress("", 0, text)


def _parts(text: str) -> tuple[str, str]:
    """Return the host and port in a text; the port is empty if there is none."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        is_whole = bracket and (rest.startswith(":") or not rest)
        return host, rest.removeprefix(":") if is_whole else "?"
    if text.isdigit():
        return LOOPBACK, text
    host, colon, port = text.partition(":")
    return (host or ANY) if colon else host, port or ("?" if colon else "")


def _is_host(host: str) -> bool:
    """Whether it may be a name or a number: gunicorn has no zones, and a slash belongs to a URL."""
    return host[:1] not in ("", "-") and not any(each in host for each in "/%@?# ")

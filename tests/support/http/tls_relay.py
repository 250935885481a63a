"""A TLS server in front of a plain one, with certificates that are made for the test."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import trustme


@dataclass(frozen=True)
class Certificates:
    """An authority, as a file, and what it has signed: a client's certificate with its key, as files."""

    authority: trustme.CA
    ca: Path
    certificate: Path
    key: Path


def make_certificates(folder: Path) -> Certificates:
    """Make an authority of one's own."""
    authority = trustme.CA()
    client = authority.issue_cert("twinrank@example.org")
    made = Certificates(authority, folder / "ca.pem", folder / "client.pem", folder / "client.key")
    authority.cert_pem.write_to_path(made.ca)
    client.cert_chain_pems[0].write_to_path(made.certificate)
    client.private_key_pem.write_to_path(made.key)
    return made


@contextmanager
def tls_relay(
    url: str,
    certificates: Certificates,
    *,
    name: str = "localhost",
    asks_client: bool = False,
    ends: datetime | None = None,
) -> Iterator[str]:
    """Run one whose certificate is for `name`, until `ends`; yield its https URL, which names localhost."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificates.authority.issue_cert(name, not_after=ends).configure_cert(context)
    if asks_client:  # and not otherwise, or the authority is sent as a part of the chain
        certificates.authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=(listener, context, urlsplit(url)), daemon=True).start()
    try:
        yield f"https://localhost:{listener.getsockname()[1]}"
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _accept(listener: socket.socket, context: ssl.SSLContext, server: object) -> None:
    with contextlib.suppress(OSError):
        while True:
            plain, _ = listener.accept()
            threading.Thread(target=_serve, args=(plain, context, server), daemon=True).start()


def _serve(plain: socket.socket, context: ssl.SSLContext, server: object) -> None:
    """Pass on one connection, one exchange after another, until one side ends it."""
    address = server.hostname, server.port  # type: ignore[attr-defined]
    with (
        contextlib.suppress(OSError),
        plain,
        context.wrap_socket(plain, server_side=True) as client,
        socket.create_connection(address) as behind,
    ):
        back = threading.Thread(target=_pump, args=(behind, client), daemon=True)
        back.start()
        _pump(client, behind)
        back.join(10)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)

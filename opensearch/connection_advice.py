"""What to do about a connection that failed: wrong certificates, and plain HTTP to a port for TLS."""

import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

DENIED = (
    "Give the user with --user NAME and the password with --password-file FILE (or TWINRANK_USER and"
    " TWINRANK_PASSWORD_FILE), and check the user's rights"
)
"""What to do about a 401 or 403."""

PROBE_S = 3.0
"""Longest wait while a server is asked whether it speaks TLS."""

_PLAIN = "It speaks plain HTTP there: use http:// in the URL"
_ASKS = "The server asks for a certificate: give --client-cert FILE and --client-key FILE"
_BROKEN_OFF = (
    "The server broke the connection off: it may ask for a certificate (--client-cert FILE), or speak no TLS"
    " there (http:// in the URL)"
)
_TLS = "It speaks TLS there: use https:// in the URL"

_OF_TLS = (
    ("Hostname mismatch", "The certificate is for another host than the URL names: use a name that it has"),
    ("IP address mismatch", "The certificate is for another host than the URL names: use a name that it has"),
    (
        "certificate has expired",
        "The server's certificate or its authority's has expired: renew it, or --insecure for a trial",
    ),
    ("certificate is not yet valid", "Check the clock here, and the server's certificate"),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "Give --ca FILE with the certificate's authority (PEM), or --insecure for a trial",
    ),
    ("CERTIFICATE_REQUIRED", _ASKS),
    ("ALERT_UNKNOWN_CA", "The server does not trust the certificate of --client-cert"),
    ("ALERT_CERTIFICATE_EXPIRED", "The certificate of --client-cert has expired: renew it"),
    ("ALERT_BAD_CERTIFICATE", _ASKS),
    ("ALERT_HANDSHAKE_FAILURE", "The server may ask for a certificate: --client-cert and --client-key"),
    ("EOF occurred in violation of protocol", _BROKEN_OFF),
    ("WRONG_VERSION_NUMBER", _PLAIN),
    ("HTTP_REQUEST", _PLAIN),
    ("record layer failure", _PLAIN),
    ("RECORD_LAYER_FAILURE", _PLAIN),
    ("PACKET_LENGTH_TOO_LONG", _PLAIN),
)
"""OpenSSL's words -> what to do; the first that fits counts."""

_HTTP_TO_TLS = ("plain HTTP request was sent to HTTPS port", "HTTP request to an HTTPS server")
"""The response of nginx and of Go's servers to plain HTTP on a port for TLS."""


def tls_advice(error: BaseException | str) -> str | None:
    """Return what to do about an error of TLS, None if it is not known."""
    text = error if isinstance(error, str) else " ".join(f"{each}" for each in _iterate_causes(error))
    return next((advice for words, advice in _OF_TLS if words in text), None)


def connection_advice(url: str, error: BaseException) -> str | None:
    """Return what to do about a connection to `url` that failed, None if nothing better is known.

    A server that drops a plain request is asked whether it speaks TLS, which takes PROBE_S at most.
    """
    if urlsplit(url).scheme == "https":
        is_reset = any(isinstance(each, ConnectionResetError) for each in _iterate_causes(error))
        return tls_advice(error) or (_BROKEN_OFF if is_reset else None)
    refused = any(
        isinstance(each, ConnectionRefusedError | socket.gaierror) for each in _iterate_causes(error)
    )
    return _TLS if not refused and speaks_tls(url) else None


def answer_advice(url: str, content: str) -> str | None:
    """Return what to do about an error response to a plain request that was meant for TLS, else None."""
    is_plain = urlsplit(url).scheme == "http"
    return _TLS if is_plain and any(words in content for words in _HTTP_TO_TLS) else None


def speaks_tls(url: str) -> bool:
    """Return whether a TLS handshake with the URL's host and port gets a response."""
    parts = urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent
    address = parts.hostname or "", parts.port or 80
    try:
        with (
            socket.create_connection(address, PROBE_S) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname),
        ):
            return True
    except ssl.SSLError as error:
        return "ALERT" in str(error.reason)
    except (OSError, ValueError):
        return False


def _iterate_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it was raised from; libraries keep the cause in different places."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        kept = (getattr(error, "reason", None), *error.args)
        causes = [each for each in kept if isinstance(each, BaseException)]
        error = causes[0] if causes else error.__cause__ or error.__context__

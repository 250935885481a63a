"""Faults between the proxy and OpenSearch: whether another host is asked, and what the client is told."""

import ssl
from http.client import BadStatusLine

from opensearch.connection_advice import tls_advice
from plugin.errors import UpstreamError, UpstreamTimeoutError
from plugin.upstream.host import NotConnectedError


def may_ask_next(error: Exception, *, may_repeat: bool) -> bool:
    """Whether a request goes to the next host after a fault.

    A request without an answer in time may still be running, so it is not repeated.
    """
    return isinstance(error, NotConnectedError) or (may_repeat and not isinstance(error, TimeoutError))


def translate_fault(error: Exception, url: str) -> UpstreamError:
    """Return the error that tells a client what failed between the proxy and the host at `url`."""
    cause = error.__cause__ if isinstance(error, NotConnectedError) else error
    if isinstance(cause, TimeoutError):
        return UpstreamTimeoutError(
            f"expected an answer from OpenSearch at {url}, found none in time: {cause}."
            " It is overloaded or the request is heavy; see its own log"
        )
    if isinstance(error, NotConnectedError) and error.is_own:
        return UpstreamError(
            f"expected a connection to OpenSearch at {url}, found none left on this machine: {cause}."
            " Raise the limit of open files (ulimit -n), or look for clients that hold very many connections"
        )
    if isinstance(cause, ssl.SSLError):
        advice = tls_advice(cause) or "Check its certificate and --ca, and that it uses https there"
        return UpstreamError(f"expected TLS with OpenSearch at {url}, found: {cause}. {advice}")
    found = f"expected OpenSearch at {url}, found: {cause or type(cause).__name__}."
    if isinstance(cause, BadStatusLine | ConnectionResetError) and url.startswith("http:"):
        return UpstreamError(f"{found} If it uses TLS there, --upstream must be https://")
    return UpstreamError(f"{found} Check that it runs and that --upstream names it")

"""Who asks: the headers that tell OpenSearch, for requests in a caller's name and for what is kept for them.

The security plugin takes a user from `Authorization` or from a proxy that has checked them (`x-proxy-user`).
A user with the right to impersonate others names one in `opendistro_security_impersonate_as`.
"""

from plugin.http.headers import IDENTITY, Headers
from plugin.http.messages import Request

_SENT = IDENTITY | {"traceparent", "tracestate", "x-opaque-id"}


def select_caller_headers(request: Request) -> Headers:
    """Return the headers that go with every request in the caller's name."""
    return tuple(header for header in request.headers if header[0].lower() in _SENT)


def select_identity(request: Request) -> Headers:
    """Return what distinguishes callers: nothing that is kept for one is shown to one of another identity."""
    return tuple(header for header in request.headers if header[0].lower() in IDENTITY)

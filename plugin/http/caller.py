"""Who asks: the headers that tell OpenSearch, for requests in a caller's name and for what is kept for them.

The security plugin takes a user from `Authorization`, from another user's right to speak for them
(`opendistro_security_impersonate_as`), or from a proxy that has checked them (`x-proxy-user`).
"""

from plugin.http.messages import IDENTITY, Headers, Request
from plugin.upstream.client import Upstream

_SENT = IDENTITY | {"traceparent", "tracestate", "x-opaque-id"}

DENIED = frozenset({401, 403})


def caller(request: Request) -> Headers:
    """Return the headers that go with every request in the caller's name."""
    return tuple(header for header in request.headers if header[0].lower() in _SENT)


def identity(request: Request) -> Headers:
    """Return what distinguishes callers: nothing that is kept for one is shown to one of another identity."""
    return tuple(header for header in request.headers if header[0].lower() in IDENTITY)


def refusal(upstream: Upstream, request: Request, indices: str) -> int | None:
    """Return the status with which OpenSearch refuses the caller a search there, None if it does not.

    For the errors that are answered here without asking OpenSearch: whoever may not search an index must not
    learn from them what its settings say.

    Raises:
        UpstreamError: OpenSearch cannot be asked.
    """
    path = f"/{indices}/_search" if indices else "/_search"
    status = upstream.exchange("GET", f"{path}?size=0&terminate_after=1", caller(request)).status
    return status if status in DENIED else None

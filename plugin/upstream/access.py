"""Whether OpenSearch lets a caller search: asked before an error of the proxy's own tells about an index."""

from plugin.http.caller import select_caller_headers
from plugin.http.messages import Request
from plugin.upstream.client import Upstream

DENIED = frozenset({401, 403})
"""Statuses of a caller who is not known, or may not do what they ask for."""


def may_search(upstream: Upstream, request: Request, indices: str) -> bool:
    """Whether OpenSearch lets the caller of a request search these indices.

    A caller who may not must not learn from one of Twinrank's errors what the settings of an index say.

    Raises:
        UpstreamError: OpenSearch cannot be asked.
    """
    path = f"/{indices}/_search" if indices else "/_search"
    target, client = f"{path}?size=0&terminate_after=1", request.context.client
    probe = upstream.exchange("GET", target, select_caller_headers(request), client=client)
    return probe.status not in DENIED

"""A client of OpenSearch that asks as the caller of one of the proxy's own endpoints."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import flask

from opensearch.client import OpenSearchClient
from plugin.http.headers import Headers
from plugin.http.messages import Request
from plugin.upstream.client import Upstream

_NOT_THE_CALLERS = frozenset({
    "host", "content-length", "content-type", "content-encoding", "accept", "accept-encoding", "user-agent",
    "expect",
})  # fmt: skip


@contextmanager
def open_caller_client(upstream: Upstream) -> Iterator[OpenSearchClient]:
    """Yield a client with the headers of the request that is answered."""
    with closing(upstream.client(dict(read_caller_headers()))) as client:
        yield client


def read_caller_headers() -> Headers:
    """Return the headers that tell OpenSearch who asks: all end-to-end ones but those of this message."""
    return Request.from_environ(flask.request.environ).headers_without(*_NOT_THE_CALLERS)

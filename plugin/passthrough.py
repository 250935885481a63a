"""Everything that is no search of ours: streamed both ways, byte for byte."""

from plugin.http_messages import Answer, Request
from plugin.upstream import Upstream


def passed_through(upstream: Upstream, request: Request, read: bytes = b"") -> Answer:
    """Send a request on as it came and stream OpenSearch's answer back; `read` is what was read of its body.

    Raises:
        UpstreamError: OpenSearch cannot be asked.
    """
    streamed = upstream.stream(
        request.method, request.target, request.headers, request.blocks(read), request.content_length
    )
    return Answer(streamed.status, streamed.headers, streamed, streamed.reason)

"""One exchange with OpenSearch for a search: how it is asked, and what its answer is good for."""

from collections.abc import Callable

from opensearch.search.response import SearchResponse, UnusableResponseError
from opensearch.search.window_request import SearchCall
from plugin.http.headers import Headers, select_warnings
from plugin.http.messages import Request, Response
from plugin.http.suspension import LONG_BYTES, run_apart
from plugin.telemetry.outcome import AnyOutcome
from plugin.upstream.client import Exchange, Upstream

LONG_WINDOW = 200
"""A window of more hits is not ordered on an event loop."""

_FINAL = frozenset({401, 403, 429})
_TRIPPED = b"circuit_breaking_exception"


def ask(upstream: Upstream, request: Request, asked: SearchCall) -> Exchange:
    """Send a search in place of the client's, with the client's own headers.

    Raises:
        UpstreamError: OpenSearch cannot be asked.
        ClientDisconnectedError: nobody waits for the answer any more.
    """
    headers, client = build_headers(request), request.context.client
    return upstream.exchange(request.method, asked.target, headers, asked.body, client=client)


def work_on(exchange: Exchange, work: Callable[[], Response], *, num_hits: int = 0) -> Response:
    """Make the client's answer of OpenSearch's; off the event loop, if there is one, where that takes long.

    `num_hits` is how many hits are scored.

    Raises:
        Exception: whatever the work raises.
    """
    return run_apart(work, is_long=len(exchange.body) > LONG_BYTES or num_hits > LONG_WINDOW)


def build_headers(request: Request) -> Headers:
    """Return the caller's own headers; our body is plain JSON, and so must the answer be."""
    kept = request.headers_without("accept-encoding", "content-encoding", "content-type")
    return (*kept, ("Content-Type", "application/json"))


def is_final(status: int | None, body: bytes) -> bool:
    """Whether an answer to a widened request would be the client's own too, so that it is not repeated.

    In a tripped circuit breaker's 429 the request was too large for OpenSearch's memory, which the client's
    own may not be.
    """
    return status in _FINAL and _TRIPPED not in body


def read_response(exchange: Exchange, *, is_filtered: bool = False) -> SearchResponse:
    """Return a complete answer.

    Raises:
        UnusableResponseError: an error, or no complete answer to a search.
    """
    warnings = select_warnings(exchange.headers)
    if exchange.status != 200:
        found = f"{exchange.status}: {exchange.body[:500]!r}"
        raise UnusableResponseError(f"expected status 200, found {found}", warnings)
    try:
        return SearchResponse.parse(exchange.body, is_filtered=is_filtered)
    except UnusableResponseError as error:
        raise UnusableResponseError(str(error), warnings) from error


def build_response(exchange: Exchange, body: bytes, outcome: AnyOutcome) -> Response:
    """Return a response with OpenSearch's status and headers but a body of our own."""
    kept = tuple(header for header in exchange.headers if header[0].lower() != "content-length")
    return Response(exchange.status, kept, body, exchange.reason, outcome)

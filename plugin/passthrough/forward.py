"""Requests that are not reranked: streamed both ways, unchanged except that vector fields are removed."""

import logging
from collections.abc import Callable, Iterable, Iterator

from opensearch.fields.redaction import FieldsOf, redact_response
from opensearch.search.request import SearchRequest
from opensearch.search.requested_fields import asks_for
from opensearch.settings.skip import Skip
from opensearch.settings.target import Target
from plugin.http.content_coding import change_body, keep_readable_codings
from plugin.http.headers import Headers
from plugin.http.messages import Request, Response
from plugin.http.suspension import LONG_BYTES, run_apart
from plugin.upstream.client import Upstream
from plugin.upstream.connection import Body
from plugin.upstream.streamed_response import StreamedResponse

Redaction = Callable[[bytes], bytes]
"""Removes vector fields from a JSON response."""

MAX_REDACTED_BYTES = 256 * 1024 * 1024
"""A longer response is passed on with its vector fields: it would not fit into a worker's memory."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, section 9.2.1)."""

_log = logging.getLogger("twinrank")


def forward_request(
    upstream: Upstream,
    request: Request,
    redact: Redaction | None = None,
    *,
    read: bytes = b"",
    forward: SearchRequest | None = None,
    may_repeat: bool | None = None,
    keeps_coding: bool = False,
) -> Response:
    """Send a request on as it came, or `forward` in its place, and return OpenSearch's response.

    Args:
        upstream: the OpenSearch.
        request: the client's request.
        redact: removes vector fields from a JSON response; None if it cannot hold any.
        read: the part of the request's body that was read already.
        forward: what to send in place of the client's bytes.
        may_repeat: whether it may be sent again if a host fails; None: if its method is safe.
        keeps_coding: whether `redact` often finds nothing, so that such a response may stay compressed.

    Raises:
        UpstreamError: OpenSearch cannot be asked.
    """
    headers = request.headers
    if redact is not None:
        unpacked = request.headers_without("accept-encoding")
        headers = keep_readable_codings(request.headers) if keeps_coding else unpacked
    repeats = is_safe(request.method) if may_repeat is None else may_repeat
    streamed = _send(upstream, request, headers, read, forward, may_repeat=repeats)
    if redact is None or request.method == "HEAD" or not _is_json(streamed):
        return Response(streamed.status, streamed.headers, streamed, streamed.reason)
    start, rest = _read(streamed)
    if rest is not None:
        _log.warning("a response of more than %d bytes keeps its vector fields", MAX_REDACTED_BYTES)
        return Response(streamed.status, streamed.headers, _join(start, rest, streamed), streamed.reason)
    kept = tuple(header for header in streamed.headers if header[0].lower() != "content-length")
    response = Response(streamed.status, kept, start, streamed.reason)
    redacted = run_apart(
        lambda: change_body(response, redact, MAX_REDACTED_BYTES), is_long=len(start) > LONG_BYTES
    )
    if redacted is None:
        _log.warning(
            "a response that cannot be decompressed to at most %d bytes keeps its vector fields",
            MAX_REDACTED_BYTES,
        )
    return redacted or response


def is_safe(method: str) -> bool:
    """Whether a method changes nothing, so that a request may be sent again."""
    return method in _SAFE


def build_redaction(target: Target, search: SearchRequest | Skip) -> Redaction | None:
    """Return what removes a target's vector fields, except those that a search asks for by name.

    None: there is nothing to remove.
    """
    fields_of = find_hidden_fields(target, search)
    return None if fields_of is None else lambda body: redact_response(body, fields_of)


def find_hidden_fields(target: Target, search: SearchRequest | Skip) -> FieldsOf | None:
    """Return each index's vector fields that are not asked for by name; None: there are none."""
    fields = target.all_fields
    shown = () if isinstance(search, Skip) else [field for field in fields if asks_for(search, field)]
    if not set(fields).difference(shown):
        return None
    return lambda index: tuple(field for field in target.fields_of(index) if field not in shown)


def _send(
    upstream: Upstream,
    request: Request,
    headers: Headers,
    read: bytes,
    forward: SearchRequest | None,
    *,
    may_repeat: bool,
) -> StreamedResponse:
    if forward is None:
        is_whole = request.is_whole(read)
        own: Body = read if is_whole else request.blocks(read)
        return upstream.stream(
            request.method,
            request.target,
            headers,
            own,
            request.content_length,
            may_repeat=is_whole and may_repeat,
            client=request.context.client,
        )
    body = forward.encode_body()
    plain = tuple(
        header for header in headers if header[0].lower() not in ("content-encoding", "content-type")
    )
    typed = (*plain, ("Content-Type", "application/json"))
    return upstream.stream(
        request.method,
        forward.target(),
        typed,
        body,
        len(body),
        may_repeat=True,
        client=request.context.client,
    )


def _is_json(streamed: StreamedResponse) -> bool:
    content_type = next((value for name, value in streamed.headers if name.lower() == "content-type"), "")
    return "json" in content_type


def _read(streamed: StreamedResponse) -> tuple[bytes, Iterator[bytes] | None]:
    """Read a response; return it, with the remaining blocks if it is longer than MAX_REDACTED_BYTES."""
    blocks, read, num_bytes = iter(streamed), [], 0
    for block in blocks:
        read.append(block)
        num_bytes += len(block)
        if num_bytes > MAX_REDACTED_BYTES:
            return b"".join(read), blocks
    streamed.close()
    return b"".join(read), None


def _join(start: bytes, rest: Iterator[bytes], streamed: StreamedResponse) -> Iterable[bytes]:
    try:
        yield start
        yield from rest
    finally:
        streamed.close()

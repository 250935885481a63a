"""The body of a search request: read up to a limit, unpacked, and understood as far as this version can."""

from opensearch.search.request import NotUnderstoodError, SearchRequest
from opensearch.settings.skip import Skip
from plugin.http.content_coding import decode_body
from plugin.http.messages import Request

MAX_BODY_BYTES = 10 * 1024 * 1024
"""A longer search is passed through unread."""

_JSON_TYPES = (
    "application/json", "application/vnd.opensearch+json", "application/x-ndjson",
    "application/vnd.opensearch+x-ndjson",
)  # fmt: skip
"""What OpenSearch reads as JSON, one value or lines of it; it refuses a body without a type."""

_OTHER_FORMATS = ("cbor", "smile", "yaml")
"""What an `Accept` names if the answer is not to be JSON; OpenSearch ignores what it does not know."""


def read_body(request: Request) -> bytes:
    """Return the body of a search, or its beginning, longer than MAX_BODY_BYTES, if it is too long."""
    return request.stream.read(MAX_BODY_BYTES + 1)


def parse_search(request: Request, body: bytes) -> SearchRequest | Skip:
    """Return the search that a request with this body asks for, or why this version cannot read it."""
    try:
        return SearchRequest.parse(request.target, decode_json(request, body))
    except NotUnderstoodError as error:
        return Skip(error.reason)


def decode_json(request: Request, body: bytes) -> bytes:
    """Return a request's body as JSON text, unpacked.

    Raises:
        NotUnderstoodError: too long, packed otherwise than by gzip, or JSON is neither sent nor wanted.
    """
    if len(body) > MAX_BODY_BYTES:
        raise NotUnderstoodError("body_size")
    content_type, accept = request.header("content-type").lower(), request.header("accept").lower()
    if body and content_type.partition(";")[0].strip() not in _JSON_TYPES:
        raise NotUnderstoodError("content_type")
    if "json" not in accept and any(name in accept for name in _OTHER_FORMATS):
        raise NotUnderstoodError("accept")
    encoding = request.header("content-encoding").lower()
    if encoding not in ("", "identity", "gzip"):
        raise NotUnderstoodError("content_encoding")
    plain = decode_body(body, "gzip", MAX_BODY_BYTES) if encoding == "gzip" else body
    if plain is None:
        raise NotUnderstoodError("content_encoding")
    return plain

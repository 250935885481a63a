"""Answers to bytes that are not a request: errors in OpenSearch's shape, in place of gunicorn's HTML."""

import ssl
from http.client import responses

from gunicorn.asgi import parser as loop_parser
from gunicorn.http.errors import (
    ConfigurationProblem,
    ExpectationFailed,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)

from plugin.errors import error_body

_TYPES: dict[type[Exception], tuple[int, str]] = {
    LimitRequestLine: (414, "too_long_http_line_exception"),
    LimitRequestHeaders: (431, "too_long_http_header_exception"),
    UnsupportedTransferCoding: (501, "unsupported_transfer_coding_exception"),
    ExpectationFailed: (417, "expectation_failed_exception"),
    loop_parser.LimitRequestLine: (414, "too_long_http_line_exception"),
    loop_parser.LimitRequestHeaders: (431, "too_long_http_header_exception"),
    loop_parser.UnsupportedTransferCoding: (501, "unsupported_transfer_coding_exception"),
}
_TOO_LONG = (loop_parser.LimitRequestLine, loop_parser.LimitRequestHeaders)
_SERVER_ERRORS = (ConfigurationProblem, InvalidResponseHeader, InvalidResponseHeaderName)
_CLIENT_ERRORS = (ParseException, ssl.SSLError, loop_parser.ParseError)


def is_client_error(error: Exception) -> bool:
    """Whether an error in gunicorn is the client's: it did not send a valid request."""
    return isinstance(error, _CLIENT_ERRORS) and not isinstance(error, _SERVER_ERRORS)


def is_too_long(error: Exception) -> bool:
    """Whether a request exceeds `--max-head-bytes`."""
    return isinstance(error, _TOO_LONG)


def build_refusal(error: Exception, *, is_head: bool = False) -> bytes:
    """Return the whole answer to a request that raised an error in gunicorn; no body for a HEAD."""
    if not is_client_error(error):
        reason = "unexpected error in the proxy; its log has the traceback"
        return build_answer(500, "internal_exception", reason, is_head=is_head)
    status, type_name = _TYPES.get(type(error), (400, "invalid_http_request_exception"))
    return build_answer(status, type_name, f"expected an HTTP/1.1 request, found: {error}", is_head=is_head)


def build_too_long(max_head_bytes: int, *, is_line: bool) -> bytes:
    """Return the answer to a head that is too long; `is_line`: its first line alone is too long."""
    what, status, type_name = (
        ("line", 414, "too_long_http_line_exception")
        if is_line
        else ("head", 431, "too_long_http_header_exception")
    )
    reason = f"expected a request {what} of at most {max_head_bytes} bytes, found more"
    return build_answer(status, type_name, f"{reason}: --max-head-bytes of twinrank serve sets the limit")


def build_timeout(request_timeout_s: float) -> bytes:
    """Return the answer to a request that did not arrive in time."""
    reason = f"expected a whole request within {request_timeout_s:g} s, found a part of one"
    return build_answer(408, "request_timeout_exception", reason)


def build_answer(status: int, type_name: str, reason: str, *, is_head: bool = False) -> bytes:
    """Return an error as bytes to send; it closes the connection."""
    body = error_body(status, type_name, reason)
    head = (
        f"HTTP/1.1 {status} {responses.get(status, 'Unknown')}\r\nConnection: close\r\n"
        f"Content-Type: application/json; charset=UTF-8\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + (b"" if is_head else body)

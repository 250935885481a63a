"""Responses of the proxy's own endpoints: JSON, `pretty`, `filter_path` and errors as in OpenSearch."""

from typing import Any

import flask
import msgspec

from opensearch.errors import (
    AddressError,
    BlockedError,
    BusyError,
    DeniedError,
    IndexMissingError,
    MappingError,
    OpenSearchError,
    RefusedError,
    TooLargeError,
    UnreachableError,
)
from opensearch.settings.table import SettingsError
from plugin.admin.filter_path import apply_filter_path
from plugin.errors import RerankFailedError, UpstreamError, error_body

JSON = "application/json"

STATUSES: dict[type[Exception], tuple[int, str]] = {
    SettingsError: (400, "rerank_settings_exception"),
    MappingError: (400, "rerank_mapping_exception"),
    AddressError: (400, "illegal_argument_exception"),
    BlockedError: (403, "cluster_block_exception"),
    RefusedError: (400, "illegal_argument_exception"),
    DeniedError: (403, "security_exception"),
    IndexMissingError: (404, "index_not_found_exception"),
    TooLargeError: (413, "content_too_long_exception"),
    BusyError: (503, "upstream_busy_exception"),
    UnreachableError: (502, "upstream_unreachable_exception"),
    RerankFailedError: (503, "rerank_failed_exception"),
}
"""Every error that an endpoint may raise, with the status and type of its response."""


BASIC_CHALLENGE = 'Basic realm="OpenSearch", charset="UTF-8"'
"""The challenge of a 401 if OpenSearch's own has none."""


class BodyError(OpenSearchError):
    """The body is not the JSON object that the endpoint expects."""


def build_response(value: Any) -> flask.Response:  # noqa: ANN401  # any JSON
    """Return a 200 with a value, filtered and indented as the request's parameters say."""
    arguments = flask.request.args
    if arguments.get("filter_path"):
        value = apply_filter_path(value, arguments["filter_path"])
    content = msgspec.json.encode(value)
    if is_flag_set("pretty"):
        content = msgspec.json.format(content, indent=2) + b"\n"
    return flask.Response(content, content_type=JSON)


def build_error_response(error: Exception) -> flask.Response:
    """Return the response to an error of STATUSES, or of the upstream."""
    if isinstance(error, UpstreamError):
        status, type_name = error.status, error.type_name
    elif isinstance(error, BodyError):
        status, type_name = 400, "parsing_exception"
    else:
        status, type_name = next(STATUSES[each] for each in type(error).mro() if each in STATUSES)
        status = error.status if isinstance(error, DeniedError) else status
    content = error_body(status, type_name, str(error))
    if is_flag_set("pretty"):
        content = msgspec.json.format(content, indent=2) + b"\n"
    response = flask.Response(content, status, content_type=JSON)
    if status == 401:  # RFC 9110 asks for it; without it, no browser asks for user and password
        for challenge in getattr(error, "challenges", ()) or (BASIC_CHALLENGE,):
            response.headers.add("WWW-Authenticate", challenge)
    return response


def is_flag_set(name: str) -> bool:
    """Whether a flag is in the request's parameters: alone, or as `true`."""
    return flask.request.args.get(name, "false") != "false"


def read_body_object() -> dict[str, Any]:
    """Return the request's JSON object, {} if it has no body.

    Raises:
        BodyError: the body has another format, or is not a JSON object.
    """
    content = flask.request.get_data()
    if not content:
        return {}
    if "json" not in flask.request.content_type.lower() if flask.request.content_type else True:
        raise BodyError(f"expected a body of Content-Type {JSON}, found {flask.request.content_type}")
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BodyError(f"expected a JSON object, found: {error}") from error

"""What all writes share: parameters in the URL, and which responses can be read and changed."""

from collections.abc import Collection, Mapping
from urllib.parse import parse_qsl, unquote, urlencode

from opensearch.endpoints import Endpoint
from plugin.http.messages import Request

FOR_EVERY_LINE = ("pipeline", "routing", "require_alias")
"""Parameters of a bulk's URL that apply to each line that does not give them itself."""


def read_url_parameters(request: Request) -> dict[str, str]:
    """Return the parameters of the URL, the last of equal names."""
    return dict(parse_qsl(request.target.partition("?")[2], keep_blank_values=True))


def read_line_defaults(endpoint: Endpoint, parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters that a bulk's URL sets for every line."""
    index = {"_index": unquote(endpoint.indices)} if endpoint.indices else {}
    return index | {name: parameters[name] for name in FOR_EVERY_LINE if name in parameters}


def with_parameters(target: str, dropped: Collection[str], added: Mapping[str, object]) -> str:
    """Return a target without some parameters and with others, the rest as it was written."""
    path, _, query = target.partition("?")
    kept = [part for part in query.split("&") if part and unquote(part.partition("=")[0]) not in dropped]
    return f"{path}?{'&'.join([*kept, urlencode(added)])}" if added or kept else path


def is_json(request: Request) -> bool:
    """Return whether the body is JSON or lines of JSON, plain or gzip."""
    content_type = request.header("content-type").lower()
    encoding = request.header("content-encoding").lower()
    return ("json" in content_type or not content_type) and encoding in ("", "identity", "gzip")


def is_response_readable(request: Request, parameters: Mapping[str, str]) -> bool:
    """Return whether the response is whole and JSON, so that single items can be read and replaced."""
    accept = request.header("accept").lower()
    wants_json = not accept or "json" in accept or "*/*" in accept
    return wants_json and "filter_path" not in parameters and parameters.get("format", "json") == "json"


def is_pretty(parameters: Mapping[str, str]) -> bool:
    """Return whether the client wants the response indented."""
    return parameters.get("pretty", "false") != "false"

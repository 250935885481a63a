"""What can go wrong with OpenSearch, as one tree.

    OpenSearchError
    ├── LocalServerError        the server that Twinrank fetches, starts and stops
    │   ├── MavenError          no Maven, or it failed
    │   ├── JavaError           no Java that is new enough
    │   ├── DiskSpaceError      too little space, before or while writing
    │   ├── FolderError         a folder that the server cannot use
    │   ├── PortError           a port that another process uses
    │   └── ServerStartError    the server died, or took too long
    ├── NativeError             ml-commons cannot deploy the models, or they cannot reach the proxy
    ├── MappingError            a mapping that would lose or cannot hold the vectors
    └── RequestError            a request that OpenSearch did not answer, or answered with an error
        ├── AddressError        no URL of an OpenSearch, no name of an index
        ├── UnreachableError    no connection, a lost one, or no response in time
        ├── BusyError           429, 502, 503, 504: to be tried again later
        ├── TooLargeError       413: more at once than it takes
        ├── IndexMissingError   no such index
        ├── DeniedError         401 or 403
        └── RefusedError        any other error response
            ├── BlockedError    403: the index or the cluster takes no writes
            ├── MissingError    404 for something that is no index
            └── ConflictError   409: the document is no longer as the request expected it

Every message says what was expected, what was found and what to do.
"""

from typing import Any

MAX_REASON_CHARS = 1000
"""Reasons may quote the request, which may be long: more than this does not help."""


class OpenSearchError(Exception):
    """Root of all errors of this package."""


class LocalServerError(OpenSearchError):
    """The local OpenSearch cannot be fetched, started or stopped."""


class MavenError(LocalServerError):
    """Maven is missing, or ran and failed."""


class JavaError(LocalServerError):
    """No Java is new enough for OpenSearch."""


class DiskSpaceError(LocalServerError):
    """The disk is full, or too full to begin."""


class FolderError(LocalServerError):
    """The server could not work in this folder."""


class PortError(LocalServerError):
    """Another process listens on the port."""


class ServerStartError(LocalServerError):
    """The server ended while starting, or was not ready in time."""


class MappingError(OpenSearchError):
    """An index's mapping would lose the vectors, or cannot hold them."""


class NativeError(OpenSearchError):
    """ml-commons cannot deploy the models, or they do not reach the proxy's endpoints."""


class RequestError(OpenSearchError):
    """OpenSearch did not answer a request, or answered it with an error."""


class AddressError(RequestError):
    """Not the URL of an OpenSearch, or not the name of an index."""


class UnreachableError(RequestError):
    """No connection, a connection lost in the middle, or no response in time."""


class BusyError(RequestError):
    """OpenSearch, or a server in front of it, asks to come back later: 429, 502, 503 or 504."""


class TooLargeError(RequestError):
    """More bytes in one request than OpenSearch, or a server in front of it, takes."""


class IndexMissingError(RequestError):
    """There is no such index."""


class DeniedError(RequestError):
    """OpenSearch does not know the user (401) or does not allow the request (403): `status` says which."""

    def __init__(self, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.status = status


class RefusedError(RequestError):
    """Any other error response, with OpenSearch's own reason."""


class BlockedError(RefusedError):
    """An index that takes no writes: OpenSearch says so (a 403, but about no right), or its settings do."""


class MissingError(RefusedError):
    """There is no such pipeline, model or other thing that is not an index."""


class ConflictError(RefusedError):
    """409: the document is no longer as the request expected it; another write was faster."""


def read_reason(error: Any) -> str:  # noqa: ANN401  # any JSON value of `error`
    """Return `type: reason` and the reasons of its causes, outermost first, on one line."""
    if not isinstance(error, dict):
        return " ".join(str(error).split()) or "no reason given"
    parts: list[str] = []
    cause: Any = error
    while isinstance(cause, dict):
        part = " ".join(str(cause.get("reason") or "").split())
        if part and part not in parts:
            parts.append(part)
        cause = cause.get("caused_by")
    return f"{error.get('type', 'error')}: {'; '.join(parts):.{MAX_REASON_CHARS}}"

"""Errors of the edge, and the one body in which the proxy itself answers an error: OpenSearch's own."""

import msgspec


class CommandError(Exception):
    """Root of what a command could not do: its message is all that the user sees, with exit status 1."""


class UpstreamError(Exception):
    """OpenSearch could not be asked, or its answer broke off."""

    status = 502
    type_name = "upstream_unreachable_exception"


class UpstreamTimeoutError(UpstreamError):
    """OpenSearch did not answer in time."""

    status = 504
    type_name = "upstream_timeout_exception"


class RequestBodyError(UpstreamError):
    """A request's body could not be read to be sent on: the disk that keeps it is full, for instance."""

    status = 500
    type_name = "request_body_exception"


class RerankFailedError(Exception):
    """Reranking one search failed; `reason` is the word that `Rerank-Status` shows."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def error_body(status: int, type_name: str, reason: str) -> bytes:
    """Return an error in OpenSearch's shape, which every OpenSearch client can print."""
    cause = {"type": type_name, "reason": reason}
    return msgspec.json.encode({"error": {"root_cause": [cause], **cause}, "status": status})

"""Errors of the endpoints beside search, in the shape of each API."""

from collections.abc import Callable
from typing import Any

from plugin.errors import RerankFailedError

BODY_LIMIT_BYTES = 10 * 1024 * 1024

_STATUS_OF_REASON = {"overloaded": 503, "deadline": 503, "model": 500}


class ApiError(Exception):
    """A request that is refused, with its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @classmethod
    def from_failure(cls, error: RerankFailedError) -> "ApiError":
        """Return the error for a query that has no vector."""
        return cls(_STATUS_OF_REASON.get(error.reason, 500), f"{error.reason}: {error}")


ErrorShape = Callable[[ApiError], Any]
"""An API's own JSON for an error."""

_OPENAI_TYPES = {
    401: "authentication_error",
    404: "not_found_error",
    503: "server_error",
    500: "server_error",
}
_TEI_TYPES = {401: "Unauthorized", 413: "Validation", 422: "Validation", 500: "Backend", 503: "Overloaded"}


def format_cohere_error(error: ApiError) -> dict[str, Any]:
    """Return Cohere's shape."""
    return {"message": str(error)}


def format_tei_error(error: ApiError) -> dict[str, Any]:
    """Return text-embeddings-inference's shape."""
    return {"error": str(error), "error_type": _TEI_TYPES.get(error.status, "Validation")}


def format_openai_error(error: ApiError) -> dict[str, Any]:
    """Return OpenAI's shape."""
    kind = _OPENAI_TYPES.get(error.status, "invalid_request_error")
    code = "invalid_api_key" if error.status == 401 else None
    return {"error": {"message": str(error), "type": kind, "param": None, "code": code}}


def format_opensearch_error(error: ApiError) -> dict[str, Any]:
    """Return OpenSearch's shape, for Twinrank's own endpoint."""
    cause = {"type": "rerank_request_exception", "reason": str(error)}
    return {"error": {"root_cause": [cause], **cause}, "status": error.status}

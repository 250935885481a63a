"""Errors of reranking: why the client's own search is sent then, or the error that the settings ask for."""

import logging

from opensearch.search.response import UnusableResponseError
from opensearch.settings.skip import Skip
from plugin.errors import RerankFailedError, UpstreamError, error_body
from plugin.http.messages import Response
from plugin.http.request_context import RequestContext
from plugin.telemetry.outcome import SearchOutcome

_JSON = ("Content-Type", "application/json")
_log = logging.getLogger("twinrank.search")


def log_failure(error: Exception) -> Skip:
    """Return why a search is not reranked after an error, and log the error."""
    if isinstance(error, RerankFailedError):  # there is no query vector, and nothing was asked yet
        _log.log(_level_of(error), "search not reranked, reason=%s: %s", error.reason, error)
        return Skip(error.reason)
    if is_of_opensearch(error):
        _log.warning("the widened search failed, so the client's own is sent: %s", error)
        return Skip("upstream")
    _log.error("unexpected error while reranking, so the client's own search is sent", exc_info=error)
    return Skip("internal")


def is_of_opensearch(error: Exception) -> bool:
    """Whether OpenSearch could not be asked, or its answer could not be used."""
    return isinstance(error, UnusableResponseError | UpstreamError)


def build_failure(error: RerankFailedError, context: RequestContext) -> Response:
    """Return what `on_failure: error` asks for."""
    outcome = SearchOutcome.skipped(error.reason, context.stages_ms())
    return Response(503, (_JSON,), build_failure_body(error), outcome=outcome)


def build_failure_body(error: RerankFailedError) -> bytes:
    """Return the body of such a response."""
    return error_body(503, "rerank_failed_exception", f"reranking failed, reason={error.reason}: {error}")


def build_refusal(detail: str) -> Response:
    """Return the response to a search whose `ext.rerank` is wrong; `detail` says what is."""
    body = error_body(400, "illegal_argument_exception", detail)
    return Response(400, (_JSON,), body, outcome=SearchOutcome.refused())


def add_warnings(response: Response, error: Exception) -> Response:
    """Return a response with the warnings of the one that could not be used, which OpenSearch gives once."""
    warnings = error.warnings if isinstance(error, UnusableResponseError) else ()
    return response.with_headers(*(header for header in warnings if header not in response.headers))


def _level_of(error: RerankFailedError) -> int:
    """Return the log level of a failed rerank.

    Under overload a second line for each search would only add to the load.
    """
    return logging.DEBUG if error.reason == "overloaded" else logging.WARNING

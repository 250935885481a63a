"""What a request counts for each index: its searches that were answered 200, by their result."""

from collections.abc import Iterator
from urllib.parse import unquote

from opensearch.endpoints import Api, find_endpoint
from plugin.http.messages import Request, Response
from plugin.telemetry.outcome import APPLIED, REFUSED, AnyOutcome, MultiSearchOutcome, SearchOutcome

_SINGLE = frozenset({Api.SEARCH, Api.SEARCH_TEMPLATE})
_NOT_ENABLED = "not_enabled"


def list_index_searches(
    request: Request, response: Response, outcome: AnyOutcome
) -> Iterator[tuple[str, str]]:
    """Yield the index expression and the result of each search in a request.

    The expression is what the client wrote. It may be an alias: if that moves to an index that is not
    enabled, the alias is what is no longer reranked. The result is `applied`, `skipped`, or `passed` if
    there are no settings. A request that was not answered 200 counts nothing.
    """
    if response.status != 200:
        return
    if isinstance(outcome, MultiSearchOutcome):
        for indices, item in zip(outcome.indices, outcome.items, strict=True):
            if item.result != REFUSED:
                yield unquote(indices), _name_result(item)
        return
    endpoint = find_endpoint(request.method, request.path)
    if endpoint is not None and endpoint.api in _SINGLE:
        yield unquote(endpoint.indices), _name_result(outcome)


def _name_result(outcome: SearchOutcome) -> str:
    if outcome.result == APPLIED:
        return APPLIED
    return "passed" if outcome.reason == _NOT_ENABLED else "skipped"

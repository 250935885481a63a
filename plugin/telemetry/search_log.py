"""The access log of searches: one structured line each."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from plugin.http.messages import Request, Response
from plugin.telemetry.line_budget import LineBudget
from plugin.telemetry.outcome import OVERLOADED, AnyOutcome, MultiSearchOutcome, outcome_of

SLOW_MS = 500.0
"""A search that takes longer is logged as a warning."""

SEARCH_LOGGER = "twinrank.searches"

MAX_CHARS = 1000
"""A query text or a header is logged up to here."""

_REQUEST_HEADERS = {"x-opaque-id": "request_id", "traceparent": "traceparent"}
"""Headers that identify a request, and their names in a line."""

_log = logging.getLogger(SEARCH_LOGGER)


@dataclass(frozen=True)
class LogOptions:
    """What is logged of a search: as a warning if it takes longer than `slow_ms`, milliseconds.

    `query_text` switches on what is off by default: the text that a search is reranked by.
    """

    slow_ms: float = SLOW_MS
    query_text: bool = False


class SearchLog:
    """Logs searches: each one, but of those that an overloaded worker refuses only some."""

    def __init__(self, options: LogOptions | None = None, refused: LineBudget | None = None) -> None:
        self._options, self._refused = options or LogOptions(), refused or LineBudget()

    def record_response(self, request: Request, response: Response) -> None:
        """Log a response if it answers a search."""
        outcome = outcome_of(response)
        if outcome is None:
            return
        left_out = self._refused.take() if outcome.reason == OVERLOADED else 0
        if left_out is None:
            return
        is_slow = outcome.stages_ms.get("total", 0.0) > self._options.slow_ms
        level = logging.WARNING if is_slow else logging.INFO
        if _log.isEnabledFor(level):
            line = _build_line(request, response.status, outcome, is_slow=is_slow)
            if left_out:
                line["not_logged"] = left_out
            if self._options.query_text and request.context.query_texts:
                line["query_text"] = [_limit(text) for text in request.context.query_texts]
            _log.log(level, "%s", msgspec.json.encode(line).decode())


def _build_line(request: Request, status: int, outcome: AnyOutcome, *, is_slow: bool) -> dict[str, Any]:
    line: dict[str, Any] = {
        "event": "slow_search" if is_slow else "search",
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "method": request.method,
        "path": request.path,
        "status": status,
        "outcome": outcome.result,
        "reason": outcome.reason,
        "window": outcome.window,
        "scored": outcome.scored,
        "stages_ms": outcome.stages_ms,
    }
    for header, name in _REQUEST_HEADERS.items():
        value = request.header(header)
        if value:
            line[name] = _limit(value)
    if isinstance(outcome, MultiSearchOutcome):
        line["items"] = {reason or result: count for (result, reason), count in outcome.counts().items()}
    return line


def _limit(text: str) -> str:
    """Return as much of a text as is logged, without what UTF-8 cannot hold."""
    return text[:MAX_CHARS].encode("utf-8", "replace").decode("utf-8")

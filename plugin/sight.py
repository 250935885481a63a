"""Tells what the proxy does: one structured log line a search, and the counters."""

import logging

import msgspec

from plugin.http_messages import Answer, Request
from plugin.metrics import Metrics
from plugin.search_record import SearchRecord

SLOW_MS = 500.0
"""A search that takes longer is logged as a warning."""

SEARCH_LOGGER = "twinrank.searches"

_log = logging.getLogger(SEARCH_LOGGER)


class Sight:
    """Sees every answer on its way out."""

    def __init__(self, metrics: Metrics, *, slow_ms: float = SLOW_MS) -> None:
        self.metrics = metrics
        self._slow_ms = slow_ms

    def answered(self, request: Request, answer: Answer) -> None:
        """Count an answer, and log it where it answers a search. No query text is logged."""
        self.metrics.answered(answer.status)
        record = SearchRecord.of(answer)
        if record is None:
            return
        self.metrics.searched(record)
        is_slow = record.stages_ms.get("total", 0.0) > self._slow_ms
        level = logging.WARNING if is_slow else logging.INFO
        if _log.isEnabledFor(level):
            _log.log(level, "%s", _line(request, answer, record, is_slow=is_slow))


def _line(request: Request, answer: Answer, record: SearchRecord, *, is_slow: bool) -> str:
    told = {
        "event": "slow_search" if is_slow else "search",
        "method": request.method,
        "path": request.path,
        "status": answer.status,
        "outcome": record.outcome,
        "reason": record.reason,
        "window": record.window,
        "scored": record.scored,
        "stages_ms": record.stages_ms,
    }
    if record.items:
        told["items"] = {reason or outcome: count for (outcome, reason), count in record.items.items()}
    return msgspec.json.encode(told).decode()

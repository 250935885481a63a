"""Tells what the proxy does: one structured log line a search, and the counters."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from plugin.http.messages import Request, Response
from plugin.telemetry.metrics import Metrics
from plugin.telemetry.record import SearchRecord
from plugin.telemetry.request_notes import Notes
from plugin.telemetry.write_counts import read_written

SLOW_MS = 500.0
"""A search that takes longer is logged as a warning."""

SEARCH_LOGGER = "twinrank.searches"

MAX_CHARS = 1000
"""A query text or a header is logged up to here."""

_REQUEST_HEADERS = {"x-opaque-id": "request_id", "traceparent": "traceparent"}
"""Headers by which a request is found again, and their names in a line."""

_log = logging.getLogger(SEARCH_LOGGER)


@dataclass(frozen=True)
class LogOptions:
    """What is logged of a search: as a warning where it takes longer than `slow_ms`, milliseconds.

    `query_text` switches on what is off by default: the text that a search is reranked by.
    """

    slow_ms: float = SLOW_MS
    query_text: bool = False


class Sight:
    """Sees every answer on its way out."""

    def __init__(self, metrics: Metrics, options: LogOptions | None = None) -> None:
        self.metrics = metrics
        self._options = options or LogOptions()

    def answered(self, request: Request, answer: Response, notes: Notes | None = None) -> None:
        """Count an answer, and log it where it answers a search."""
        self.metrics.answered(answer.status)
        written = next((value for name, value in answer.headers if name == "Rerank-Written"), "")
        if written:
            self.metrics.writes.written(_write_api(request.path), read_written(written))
        record = SearchRecord.of(answer)
        if record is None:
            return
        self.metrics.searched(record)
        is_slow = record.stages_ms.get("total", 0.0) > self._options.slow_ms
        level = logging.WARNING if is_slow else logging.INFO
        if _log.isEnabledFor(level):
            told = _told(request, answer, record, is_slow=is_slow)
            if self._options.query_text and notes is not None and notes.query_texts:
                told["query_text"] = [_logged(text) for text in notes.query_texts]
            _log.log(level, "%s", msgspec.json.encode(told).decode())


def _told(request: Request, answer: Response, record: SearchRecord, *, is_slow: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        "event": "slow_search" if is_slow else "search",
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "method": request.method,
        "path": request.path,
        "status": answer.status,
        "outcome": record.outcome,
        "reason": record.reason,
        "window": record.window,
        "scored": record.scored,
        "stages_ms": record.stages_ms,
    }
    for header, name in _REQUEST_HEADERS.items():
        value = request.header(header)
        if value:
            told[name] = _logged(value)
    if record.items:
        told["items"] = {reason or outcome: count for (outcome, reason), count in record.items.items()}
    return told


def _logged(text: str) -> str:
    """Return as much of a text as is logged, without what UTF-8 cannot hold."""
    return text[:MAX_CHARS].encode("utf-8", "replace").decode("utf-8")


def _write_api(path: str) -> str:
    """Return what counters call the API of a write: `bulk`, `enrich`, or `document`."""
    last = path.rstrip("/").rpartition("/")[2]
    return {"_bulk": "bulk", "enrich": "enrich"}.get(last, "document")

"""The access log of searches under overload: few lines of refused ones, which say how many there were."""

import json
import logging
from io import BytesIO

import pytest

from plugin.http.messages import Request, Response
from plugin.telemetry.line_budget import LineBudget
from plugin.telemetry.outcome import OVERLOADED, SearchOutcome
from plugin.telemetry.search_log import SEARCH_LOGGER, LogOptions, SearchLog

REQUEST = Request("POST", "/articles/_search", (), BytesIO(), 0)


class Clock:
    """Seconds that a test sets."""

    now_s = 0.0

    def __call__(self) -> float:
        """Return them."""
        return self.now_s


def answer(reason: str) -> Response:
    return Response(200, (), b"{}", outcome=SearchOutcome.skipped(reason, {"total": 900.0}))


def test_of_refused_searches_some_are_logged_and_all_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Also if they are slow, which they all are under overload. Others are logged whole."""
    clock = Clock()
    log = SearchLog(LogOptions(slow_ms=500), LineBudget(3, clock))
    with caplog.at_level(logging.INFO, SEARCH_LOGGER):
        for second in (0, 1, 5):
            clock.now_s = second
            for _ in range(10):
                log.record_response(REQUEST, answer(OVERLOADED))
                log.record_response(REQUEST, answer("sort"))
    lines = [json.loads(record.message) for record in caplog.records]
    refused = [line.get("not_logged", 0) for line in lines if line["reason"] == OVERLOADED]
    assert refused == [0, 0, 0, 7, 0, 0, 7, 0, 0]
    assert sum(line["reason"] == "sort" for line in lines) == 30
    assert not any("not_logged" in line for line in lines if line["reason"] == "sort")

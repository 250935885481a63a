"""Requests after which what was read of an index no longer holds."""

import pytest

from opensearch.index_changes import changes_indices


@pytest.mark.parametrize("request_line", [
    "PUT /articles", "DELETE /articles", "DELETE /a,b", "PUT /articles/_mapping", "POST /articles/_mapping",
    "PUT /_mapping", "POST /_aliases", "PUT /articles/_alias/x", "DELETE /articles/_alias/x",
    "PUT /articles/_settings", "POST /logs/_rollover", "PUT /_data_stream/logs", "POST /articles/_close",
])  # fmt: skip
def test_these_may_change_settings(request_line: str) -> None:
    assert changes_indices(*request_line.split())


@pytest.mark.parametrize("request_line", [
    "GET /articles/_mapping", "HEAD /articles", "POST /articles/_doc", "PUT /articles/_doc/1", "POST /_bulk",
    "POST /articles/_bulk", "POST /articles/_search", "POST /articles/_refresh", "PUT /_index_template/x",
])  # fmt: skip
def test_these_do_not(request_line: str) -> None:
    assert not changes_indices(*request_line.split())

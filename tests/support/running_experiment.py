"""Waiting until all workers of a proxy follow an experiment that began or ended."""

import json
import time
from typing import Any

from tests.support.http.raw_http import ask
from tests.support.waiting import until

FOLLOWS_WITHIN_S = 1.5
"""A little more than a worker needs to see other settings."""
_SEARCHES = 20


def await_experiment(url: str, index: str, query: dict[str, Any], *, runs: bool) -> None:
    """Wait until searches without a unit are, or are no longer, told that they have no part in it.

    Raises:
        AssertionError: some worker does not follow.
    """
    body = json.dumps({"query": query}).encode()

    def agree() -> bool:
        answers = [
            ask(url, "POST", f"/{index}/_search", body, {"Content-Type": "application/json"})
            for _ in range(_SEARCHES)
        ]
        return {answer.rerank_status.endswith("experiment=no_unit") for answer in answers} == {runs}

    until(agree, "that all workers follow the settings")
    time.sleep(FOLLOWS_WITHIN_S)  # all answers may be of one worker
    until(agree, "that all workers follow the settings")

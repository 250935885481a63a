"""What an experiment costs the proxy in processor time: little for the control, some for two orders."""

import time
from collections.abc import Callable
from contextlib import closing
from statistics import median
from typing import Any

import pytest
from opensearchpy import OpenSearch
from werkzeug.test import Client

from plugin.encoding.model import Model
from plugin.proxy import Proxy
from plugin.upstream.client import Upstream
from tests.support.indices.toy_index import ToyIndex, index_body

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

ROUNDS, SEARCHES = 9, 40
MOST_FOR_THE_CONTROL_MS = 0.25
"""Beside the 2 to 3 ms of a window. Seen: 0.05."""

UNIT = {"header": "X-Session"}
ARMS: dict[str, Any] = {"control": "opensearch", "reranked": {}}
KINDS: dict[str, dict[str, Any]] = {
    "reranked": {},
    "reranked, an arm": {"name": "a", "mode": "split", "arms": {"control": {}, "b": {}}, "unit": UNIT},
    "interleaved": {"name": "a", "mode": "interleave", "arms": ARMS, "unit": UNIT},
    "passed through": {},
    "passed through, an arm": {"name": "a", "mode": "split", "arms": ARMS, "unit": UNIT},
}


def test_the_control_of_an_experiment_costs_next_to_nothing(
    client: OpenSearch, toy_index: ToyIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {}
    for number, (kind, experiment) in enumerate(KINDS.items()):
        names[kind] = f"experiment-cost-{number}"
        body = index_body(toy_index.bundle, experiment=experiment, enabled=kind != "passed through")
        client.indices.create(index=names[kind], body=body)
        client.reindex(
            body={"source": {"index": toy_index.name}, "dest": {"index": names[kind]}}, refresh=True
        )
    with closing(Upstream(toy_index.url)) as upstream:
        proxied = Client(Proxy(upstream, Model.load(toy_index.bundle)))

        def search(kind: str, unit: str) -> str:
            body = {"query": toy_index.query, "size": 10}
            answer = proxied.post(
                f"/{names[kind]}/_search", json=body, headers={"X-Session": unit}, buffered=True
            )
            return answer.headers["Rerank-Status"]

        arm = "passed through, an arm"
        unit = next(each for each in map(str, range(50)) if "arm=control" in search(arm, each))
        found: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for _ in range(ROUNDS):
            for kind, spent_ms in found.items():
                spent_ms.append(measure_ms(lambda kind=kind: search(kind, unit)))  # type: ignore[misc]
    client.indices.delete(index="experiment-cost-*")
    middle = {kind: median(spent_ms) for kind, spent_ms in found.items()}
    with capsys.disabled():
        print("\nprocessor ms a search:", {kind: round(ms, 2) for kind, ms in middle.items()})  # noqa: T201
    assert middle["reranked, an arm"] - middle["reranked"] < MOST_FOR_THE_CONTROL_MS
    assert middle["passed through, an arm"] - middle["passed through"] < MOST_FOR_THE_CONTROL_MS


def measure_ms(search: Callable[[], object]) -> float:
    """Return the processor time of one of several searches, in ms."""
    began = time.process_time()
    for _ in range(SEARCHES):
        search()
    return (time.process_time() - began) * 1000 / SEARCHES

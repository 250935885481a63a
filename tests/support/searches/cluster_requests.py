"""Searches that OpenSearch rescores itself."""

import json
from typing import Any

from tests.support.http.raw_http import RawAnswer, search
from tests.support.indices.window_index import WindowIndex

CLUSTER = {"ext": {"rerank": {"execution": "cluster"}}}


def controls(execution: str = "cluster", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"ext": {"rerank": {"execution": execution, **more}}}


def rescored(proxy_url: str, index: WindowIndex, parameters: str = "", **body: Any) -> RawAnswer:  # noqa: ANN401
    answer = search(proxy_url, index.name, {"query": index.query, **CLUSTER, **body}, parameters)
    assert answer.rerank_status.endswith("; execution=cluster"), (answer.rerank_status, answer.body[:300])
    return answer


def hits_of(answer: RawAnswer) -> list[dict[str, Any]]:
    hits: list[dict[str, Any]] = json.loads(answer.body)["hits"]["hits"]
    return hits

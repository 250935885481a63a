"""A client that closes its connection: OpenSearch's task is cancelled, and the proxy's thread is free."""

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from opensearchpy import OpenSearch

from tests.support.searches.slow_filter import SLOW
from tests.support.waiting import until


def searches(client: OpenSearch, index: str) -> list[dict[str, Any]]:
    """Return the searches of an index that OpenSearch works on."""
    nodes = client.tasks.list(params={"actions": "*search*", "detailed": "true"})["nodes"].values()
    tasks = [task for node in nodes for task in node["tasks"].values()]
    return [task for task in tasks if index in task.get("description", "") and "parent_task_id" not in task]


@pytest.mark.live
@pytest.mark.parametrize("sort", [["_score"], ["_doc"]], ids=["reranked", "passed through"])
def test_the_search_of_a_client_that_has_gone_is_cancelled(
    client: OpenSearch, proxy_url: str, index_name: str, sort: list[str]
) -> None:
    meta = {"rerank": {"model": "tiny", "source_fields": ["text"]}}
    settings = {"number_of_shards": 1, "number_of_replicas": 0}
    client.indices.create(index=index_name, body={"settings": settings, "mappings": {"_meta": meta}})
    lines = b"".join(b'{"index":{}}\n{"text":"wait a bit"}\n' for _ in range(5000))
    client.bulk(index=index_name, body=lines, params={"refresh": "true"})
    query = {"bool": {"filter": SLOW, "must": {"match": {"text": "wait"}}}}
    sent = json.dumps({"query": query, "sort": sort}).encode()
    head = f"POST /{index_name}/_search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    parts = urlsplit(proxy_url)
    with socket.create_connection((parts.hostname, parts.port)) as gone:
        gone.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(sent) + sent)
        until(lambda: bool(searches(client, index_name)), "it began")
    until(lambda: any(task["cancelled"] for task in searches(client, index_name)), "it is cancelled")

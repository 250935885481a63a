"""A client that closes its connection: OpenSearch's task is cancelled, and its answer is no longer read."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from opensearchpy import OpenSearch

from plugin.harness.proxy_process import running_proxy
from plugin.http.suspension import LONG_BYTES
from tests.support.http.raw_http import ask
from tests.support.http.relay import Relay
from tests.support.paths import TINY_BUNDLE
from tests.support.searches.slow_filter import SLOW
from tests.support.waiting import until


def searches(client: OpenSearch, index: str) -> list[dict[str, Any]]:
    """Return the searches of an index that OpenSearch works on."""
    nodes = client.tasks.list(params={"actions": "*search*", "detailed": "true"})["nodes"].values()
    tasks = [task for node in nodes for task in node["tasks"].values()]
    return [task for task in tasks if index in task.get("description", "") and "parent_task_id" not in task]


def make_index(client: OpenSearch, name: str, text: str, num_documents: int) -> None:
    """Make an index of equal documents, without vectors, whose searches are reranked."""
    meta = {"rerank": {"model": "tiny", "source_fields": ["text"]}}
    settings = {"number_of_shards": 1, "number_of_replicas": 0}
    client.indices.create(index=name, body={"settings": settings, "mappings": {"_meta": meta}})
    lines = b'{"index":{}}\n%b\n' % json.dumps({"text": text}).encode()
    client.bulk(index=name, body=lines * num_documents, params={"refresh": "true"})


@contextmanager
def sent_search(proxy_url: str, index: str, body: dict[str, Any]) -> Iterator[None]:
    """Send a search; its client leaves afterwards without having read a byte."""
    sent = json.dumps(body).encode()
    head = f"POST /{index}/_search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    parts = urlsplit(proxy_url)
    with socket.create_connection((parts.hostname, parts.port)) as client:
        client.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(sent) + sent)
        yield


@pytest.mark.live
@pytest.mark.parametrize("sort", [["_score"], ["_doc"]], ids=["reranked", "passed through"])
def test_the_search_of_a_client_that_has_gone_is_cancelled(
    client: OpenSearch, proxy_url: str, index_name: str, sort: list[str]
) -> None:
    make_index(client, index_name, "wait a bit", 5000)
    query = {"bool": {"filter": SLOW, "must": {"match": {"text": "wait"}}}}
    with sent_search(proxy_url, index_name, {"query": query, "sort": sort}):
        until(lambda: bool(searches(client, index_name)), "it began")
    until(lambda: any(task["cancelled"] for task in searches(client, index_name)), "it is cancelled")


@pytest.mark.live
@pytest.mark.parametrize("sort", [["_score"], ["_doc"]], ids=["reranked", "cut"])
def test_a_long_answer_to_a_client_that_has_gone_is_read_no_further(
    client: OpenSearch, opensearch_url: str, index_name: str, tmp_path: Path, sort: list[str]
) -> None:
    make_index(client, index_name, "wait a bit " + "x" * 20_000, 100)
    relay = Relay(opensearch_url)
    with running_proxy(relay.url, tmp_path, bundle=TINY_BUNDLE, arguments=["--workers", "1"]) as proxy:
        relay.hold_answers(beyond=2 * LONG_BYTES)
        body = {"query": {"match": {"text": "wait"}}, "sort": sort, "size": 100}
        with sent_search(proxy.url, index_name, body):
            until(lambda: relay.num_held > 0, "a part of the answer came")
        until(lambda: relay.num_left > 0, "the proxy gave OpenSearch's connection up")
        relay.release()
        assert ask(proxy.url, "GET", f"/{index_name}/_count").status == 200
    relay.cut()

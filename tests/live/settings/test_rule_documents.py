"""Documents of rules on a real OpenSearch: followed, gone, wrong, and written by two editors at once."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConflictError
from werkzeug.test import Client

from opensearch.client import OpenSearchClient
from opensearch.index.settings_report import report_settings
from plugin.encoding.model import Model
from plugin.proxy import Proxy
from plugin.upstream.client import Upstream
from tests.support.indices.toy_index import ToyIndex, index_body
from tests.support.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

NAME, DOCUMENTS = "documented", "documented-rules"
RULES_FROM = f"{DOCUMENTS}/shop"


def hiding(*ids: str) -> dict[str, Any]:
    return {"rules": [{"then": {"hide": list(ids)}}]}


@pytest.fixture
def proxied(client: OpenSearch, opensearch_url: str, toy_index: ToyIndex) -> Iterator[Client]:
    """Yield a proxy in this process in front of two indices that take their rules from one document."""
    for name in (NAME, f"{NAME}-too"):
        body = index_body(
            toy_index.bundle, rules=hiding("own")["rules"], rules_from=RULES_FROM, deadline_ms=10_000
        )
        client.indices.create(index=name, body=body)
        for number, hit in enumerate(toy_index.first_stage(5)):
            client.index(index=name, id=str(number), body=hit["_source"], refresh=True)
    client.indices.create(index=DOCUMENTS, body={"mappings": {"enabled": False}})
    with closing(Upstream(opensearch_url)) as upstream:
        yield Client(Proxy(upstream, Model.load(toy_index.bundle)))
    client.indices.delete(index=f"{NAME}*")


def run(proxied: Client, toy: ToyIndex, name: str = NAME) -> tuple[set[str], str]:
    answer = proxied.post(f"/{name}/_search", json={"query": toy.query}, buffered=True)
    hits = json.loads(answer.data)["hits"]["hits"]
    return {f"{hit['_index']}/{hit['_id']}" for hit in hits}, str(answer.headers["Rerank-Status"])


def test_a_document_is_followed_until_it_is_gone(
    client: OpenSearch, opensearch_url: str, proxied: Client, toy_index: ToyIndex
) -> None:
    every = {f"{NAME}/{n}" for n in range(5)}
    assert run(proxied, toy_index)[0] == every
    assert "; rules=hide:1,document:missing; " in run(proxied, toy_index)[1]
    client.index(index=DOCUMENTS, id="shop", body=hiding("0", "1"))
    until(lambda: run(proxied, toy_index)[0] == every - {f"{NAME}/0", f"{NAME}/1"}, "the document is read")
    assert "; rules=hide:3; " in run(proxied, toy_index)[1]
    client.index(index=DOCUMENTS, id="shop", body=hiding("2"))
    until(lambda: run(proxied, toy_index)[0] == every - {f"{NAME}/2"}, "its change is read")
    found, status = run(proxied, toy_index, f"{NAME},{NAME}-too")
    assert found == (every | {each.replace("/", "-too/") for each in every}) - {f"{NAME}/2", f"{NAME}-too/2"}
    assert "; rules=hide:4; " in status
    client.index(index=DOCUMENTS, id="shop", body={"rules": [{"then": {"hides": ["3"]}}]})
    until(lambda: "document:invalid" in run(proxied, toy_index)[1], "its mistake is seen")
    assert run(proxied, toy_index)[0] == every
    (problem,) = find_problems(opensearch_url)
    assert problem.startswith(f"rules_from: {RULES_FROM}.rules[0].then.hides: expected one of pin, boost")
    client.delete(index=DOCUMENTS, id="shop")
    until(lambda: "document:missing" in run(proxied, toy_index)[1], "it is gone")
    (problem,) = find_problems(opensearch_url)
    assert problem.startswith(f"rules_from: expected a document, found none at {RULES_FROM}. ")
    client.indices.delete(index=DOCUMENTS)
    assert "document:missing" in run(proxied, toy_index)[1]
    assert find_problems(opensearch_url) == (problem,)


def find_problems(url: str) -> tuple[str, ...]:
    with closing(OpenSearchClient(url)) as client:
        (report,) = report_settings(client, NAME, {})
    return report.problems


def test_of_two_editors_at_once_the_second_is_told(
    client: OpenSearch, proxied: Client, toy_index: ToyIndex
) -> None:
    """Through the proxy as straight: the second one's write is refused, and the first one's rules hold."""
    client.index(index=DOCUMENTS, id="shop", body=hiding("0"))
    read = json.loads(proxied.get(f"/{DOCUMENTS}/_doc/shop", buffered=True).data)
    seen = f"if_seq_no={read['_seq_no']}&if_primary_term={read['_primary_term']}"
    written = proxied.put(f"/{DOCUMENTS}/_doc/shop?{seen}", json=hiding("0", "1"), buffered=True)
    refused = proxied.put(f"/{DOCUMENTS}/_doc/shop?{seen}", json=hiding("0", "2"), buffered=True)
    assert (written.status_code, refused.status_code) == (200, 409)
    with pytest.raises(ConflictError):
        client.index(
            index=DOCUMENTS,
            id="shop",
            body=hiding("3"),
            if_seq_no=read["_seq_no"],
            if_primary_term=read["_primary_term"],
        )
    until(lambda: run(proxied, toy_index)[0] == {f"{NAME}/{n}" for n in (2, 3, 4)}, "the first one's holds")

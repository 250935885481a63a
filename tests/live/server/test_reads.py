"""Reads of documents: our field is cut out where an index has settings, nothing is touched elsewhere."""

import json
from typing import Any

import pytest
from opensearchpy import OpenSearch

from tests.support.http.raw_http import RawAnswer, ask, search
from tests.support.indices.toy_index import ToyIndex

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
JSON = {"Content-Type": "application/json"}


def posted(url: str, target: str, body: dict[str, Any]) -> RawAnswer:
    return ask(url, "POST", target, json.dumps(body).encode(), JSON)


@pytest.mark.parametrize(
    "target", ["_doc/1", "_source/1", "_doc/1?pretty", "_source/1?_source_includes=rer*,n"]
)
def test_a_document_comes_without_our_field(proxy_url: str, toy_index: ToyIndex, target: str) -> None:
    straight = ask(toy_index.url, "GET", f"/{toy_index.name}/{target}")
    through = ask(proxy_url, "GET", f"/{toy_index.name}/{target}")
    assert b"rerank" in straight.body
    assert b"rerank" not in through.body
    found = json.loads(through.body)
    assert found.get("_source", found)["n"] == 1


@pytest.mark.parametrize(
    "parameters", ["_source=rerank", "_source_includes=rerank.vector", "_source=n,rerank"]
)
def test_asked_for_by_name_it_shows(proxy_url: str, toy_index: ToyIndex, parameters: str) -> None:
    target = f"/{toy_index.name}/_doc/1?{parameters}"
    assert ask(proxy_url, "GET", target).body == ask(toy_index.url, "GET", target).body


def test_head_has_no_body_and_the_same_status(proxy_url: str, toy_index: ToyIndex) -> None:
    for name, status in (("1", 200), ("absent", 404)):
        answer = ask(proxy_url, "HEAD", f"/{toy_index.name}/_doc/{name}")
        assert (answer.status, answer.body) == (status, b"")


@pytest.mark.parametrize("filter_path", ["", "&filter_path=hits.hits._source,_scroll_id"])
def test_every_page_of_a_scroll(proxy_url: str, toy_index: ToyIndex, filter_path: str) -> None:
    first = search(proxy_url, toy_index.name, {"size": 60, "sort": "n"}, f"?scroll=1m{filter_path}")
    seen, page = [], first
    while hits := json.loads(page.body).get("hits", {}).get("hits"):
        assert b"rerank" not in page.body
        seen += [hit["_source"]["n"] for hit in hits]
        body = {"scroll_id": json.loads(page.body)["_scroll_id"], "scroll": "1m"}
        page = posted(proxy_url, f"/_search/scroll?{filter_path[1:]}", body)
    assert seen == list(range(toy_index.num_documents))
    ask(proxy_url, "DELETE", "/_search/scroll/_all")


def test_documents_of_several_indices(
    client: OpenSearch, proxy_url: str, toy_index: ToyIndex, index_name: str
) -> None:
    """A field of the same name in an index without settings is that user's own."""
    client.index(index=index_name, id="1", body={"rerank": {"vector": "mine"}}, refresh=True)
    docs = [{"_index": toy_index.name, "_id": "1"}, {"_index": index_name, "_id": "1"}]
    found = json.loads(posted(proxy_url, "/_mget", {"docs": docs}).body)["docs"]
    assert "rerank" not in found[0]["_source"]
    assert found[1]["_source"] == {"rerank": {"vector": "mine"}}

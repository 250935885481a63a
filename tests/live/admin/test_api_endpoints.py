"""The endpoints beside search through the real proxy: what is ours, and what stays OpenSearch's."""

import json

import pytest

from plugin.apis.routes import API_PATHS
from tests.support.api_client import bundle
from tests.support.http.raw_http import ask

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
JSON = {"Content-Type": "application/json"}


def test_a_rerank_through_the_proxy(proxy_url: str) -> None:
    body = json.dumps({"query": "a", "documents": ["a", "", "b"]}).encode()
    answer = ask(proxy_url, "POST", "/v1/rerank", body, JSON)
    assert answer.status == 200
    assert {each["index"] for each in json.loads(answer.body)["results"]} == {0, 1, 2}
    chunked = ask(proxy_url, "POST", "/v1/embeddings?x=y", b'{"input": "a"}', JSON)
    assert json.loads(chunked.body)["model"] == bundle().name


@pytest.mark.parametrize("path", sorted(API_PATHS))
def test_other_methods_are_opensearchs(proxy_url: str, opensearch_url: str, path: str) -> None:
    through, straight = (ask(url, "GET", path) for url in (proxy_url, opensearch_url))
    assert (through.status, through.body) == (straight.status, straight.body)


@pytest.mark.parametrize("path", sorted(API_PATHS))
def test_opensearch_has_nothing_there(opensearch_url: str, path: str) -> None:
    """Else we would hide it."""
    answer = ask(opensearch_url, "POST", path, b"{}", JSON)
    assert answer.status in (400, 405), answer.body

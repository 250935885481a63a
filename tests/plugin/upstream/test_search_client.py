"""The small client, against the real server."""

import pytest

from plugin.harness.proxy_process import free_port
from plugin.upstream.search_client import SearchClient, SearchError
from tests.support.indices.toy_index import ToyIndex

pytestmark = pytest.mark.opensearch_2_19


@pytest.mark.live
def test_a_search_is_answered(toy_index: ToyIndex, opensearch_url: str) -> None:
    with SearchClient(opensearch_url) as client:
        answer = client.search(toy_index.name, {"query": toy_index.query, "size": 3})
    assert len(answer.ids) == 3
    assert answer.elapsed_ms > 0
    assert answer.headers["content-type"].startswith("application/json")
    assert (answer.status, answer.stages_ms) == ("", {})


@pytest.mark.live
def test_a_reranked_search_says_so(toy_index: ToyIndex, proxy_url: str) -> None:
    with SearchClient(proxy_url) as client:
        answer = client.search(toy_index.name, {"query": toy_index.query})
    assert answer.status.startswith("applied")
    assert {"opensearch", "total"} <= answer.stages_ms.keys()


@pytest.mark.live
def test_an_error_is_opensearchs_own_reason(opensearch_url: str) -> None:
    with SearchClient(opensearch_url) as client, pytest.raises(SearchError, match=r"404: no such index"):
        client.search("not-there", {})


def test_nobody_listens() -> None:
    with pytest.raises(SearchError, match=r"no answer from http://127\.0\.0\.1:.*Is it running"):
        SearchClient(f"http://user:secret@127.0.0.1:{free_port()}").search("index", {})


@pytest.mark.parametrize("url", ["localhost:9200", "ftp://host", "http://", ""])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(SearchError, match="expected an address like"):
        SearchClient(url)


def test_the_password_is_not_shown() -> None:
    with pytest.raises(SearchError) as caught:
        SearchClient(f"http://user:secret@127.0.0.1:{free_port()}").search("index", {})
    assert "secret" not in str(caught.value)

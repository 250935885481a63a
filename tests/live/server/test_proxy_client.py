"""opensearch-py pointed at the proxy does its ordinary work as straight at OpenSearch."""

import pytest
from opensearchpy import NotFoundError, OpenSearch, RequestError, helpers

from tests.support.indices.toy_index import ToyIndex

pytestmark = pytest.mark.opensearch_2_19


@pytest.mark.live
@pytest.mark.parametrize("http_compress", [False, True])
def test_a_clients_ordinary_day(proxy_url: str, index_name: str, http_compress: bool) -> None:
    with OpenSearch(proxy_url, http_compress=http_compress) as client:
        client.indices.create(index=index_name)
        assert client.index(index=index_name, id="1", body={"n": 1})["result"] == "created"
        actions = ({"_index": index_name, "_id": str(n), "n": n} for n in range(2, 300))
        assert helpers.bulk(client, actions, refresh=True) == (298, [])
        assert client.get(index=index_name, id="7")["_source"] == {"n": 7}
        assert client.count(index=index_name)["count"] == 299
        found = client.search(index=index_name, body={"query": {"term": {"n": 7}}})
        assert [hit["_id"] for hit in found["hits"]["hits"]] == ["7"]
        assert len(list(helpers.scan(client, index=index_name, size=50))) == 299
        assert client.update(index=index_name, id="7", body={"doc": {"n": 8}})["result"] == "updated"
        assert client.delete(index=index_name, id="7")["result"] == "deleted"
        with pytest.raises(NotFoundError):
            client.get(index=index_name, id="7")
        with pytest.raises(RequestError) as raised:
            client.search(index=index_name, body={"query": {"no_such_query": {}}})
        assert raised.value.error == "parsing_exception"


@pytest.mark.live
@pytest.mark.parametrize("http_compress", [False, True])
def test_a_client_gets_the_better_order(proxy_url: str, toy_index: ToyIndex, http_compress: bool) -> None:
    with OpenSearch(proxy_url, http_compress=http_compress) as client:
        found = client.search(index=toy_index.name, body={"query": toy_index.query})
        assert [hit["_id"] for hit in found["hits"]["hits"]] == toy_index.expected_order()[:10]
        assert len(list(helpers.scan(client, index=toy_index.name))) == toy_index.num_documents

"""Documents that an ingest pipeline sends elsewhere: found again and given their vectors, or counted."""

import json
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from opensearchpy import OpenSearch

from opensearch.writes.routing import ShardCount, murmur3
from tests.live.conftest import MakeIndex, MakePipeline
from tests.support.indices.write_checks import bulk, send, state, written

pytestmark = pytest.mark.live

Make = Callable[..., str]


@pytest.fixture
def make(make_index: MakeIndex) -> Make:
    """Return what makes an index of five shards."""
    return lambda mappings=None, **settings: make_index(mappings, **({"number_of_shards": 5} | settings))


BY_TENANT = {"set": {"field": "_routing", "value": "{{{tenant}}}"}}


def lines(number: int, **action: str) -> list[dict[str, Any]]:
    """Return a bulk's lines, each document with a tenant of its own."""
    return [
        line
        for n in range(number)
        for line in ({"index": {"_id": str(n), **action}}, {"text": f"text {n}", "tenant": f"t{n}"})
    ]


def routings(client: OpenSearch, index: str) -> set[str]:
    client.indices.refresh(index=index)
    hits = client.search(index=index, body={"size": 1000, "_source": False})["hits"]["hits"]
    return {hit.get("_routing", "") for hit in hits}


@pytest.mark.parametrize(
    "mappings", [{}, {"_routing": {"required": True}}], ids=["free", "required"]
)  # fmt: skip
def test_documents_whose_routing_a_pipeline_sets_have_their_vectors(
    client: OpenSearch, proxy_url: str, make: Make, make_pipeline: MakePipeline, mappings: dict[str, Any]
) -> None:
    index = make(mappings, **{"index.default_pipeline": make_pipeline(BY_TENANT)})
    answer = bulk(proxy_url, f"/{index}/_bulk", *lines(20))
    assert "documents=20" in written(answer)
    assert "repaired=20; left=0" in written(answer)
    single = send(proxy_url, "PUT", f"/{index}/_doc/single", {"text": "one", "tenant": "t20"})
    assert "repaired=1; left=0" in written(single)
    assert len(state(client, index).current) == 21
    assert routings(client, index) == {f"t{n}" for n in range(21)}, "a repair keeps the routing"
    [item, *_] = json.loads(answer.body)["items"]
    stored = client.get(index=index, id="0", routing="t0")
    assert (item["index"]["_version"], item["index"]["_seq_no"]) == (stored["_version"], stored["_seq_no"])


def test_a_pipeline_may_change_the_routing_that_the_client_gives(
    client: OpenSearch, proxy_url: str, make: Make, make_pipeline: MakePipeline
) -> None:
    index = make()
    # the same ids stand under the client's own routing: they must not be taken for those that were written
    assert "left=0" in written(bulk(proxy_url, f"/{index}/_bulk", *lines(12, routing="client")))
    name = make_pipeline(BY_TENANT)
    answer = bulk(proxy_url, f"/{index}/_bulk?pipeline={name}", *lines(12, routing="client"))
    assert "left=0" in written(answer)
    client.indices.refresh(index=index)
    found = client.count(index=index, body={"query": {"exists": {"field": "rerank.vector"}}})["count"]
    assert found == client.count(index=index)["count"] > 12


def test_a_partitioned_index_is_looked_through_too(
    client: OpenSearch, proxy_url: str, make: Make, make_pipeline: MakePipeline
) -> None:
    index = make({"_routing": {"required": True}}, routing_partition_size=3)
    answer = bulk(proxy_url, f"/{index}/_bulk?pipeline={make_pipeline(BY_TENANT)}", *lines(12))
    assert "repaired=12; left=0" in written(answer)
    assert len(state(client, index).current) == 12


def test_what_is_not_found_again_is_counted(
    client: OpenSearch, proxy_url: str, make: Make, make_pipeline: MakePipeline
) -> None:
    # a number of routing shards of its own, which no answer tells: some shards cannot be reached
    index = make(number_of_routing_shards=5 * 7, **{"index.default_pipeline": make_pipeline(BY_TENANT)})
    said = written(bulk(proxy_url, f"/{index}/_bulk", *lines(40)))
    left = int(said.partition("left=")[2].partition(";")[0])
    assert said.endswith("; reason=not_found") == (left > 0)
    after = state(client, index)
    assert (len(after.current), len(after.missing)) == (40 - left, left)


def test_a_document_in_an_index_without_settings_is_left_as_it_is(
    client: OpenSearch, proxy_url: str, make: Make, make_pipeline: MakePipeline
) -> None:
    other = f"test-{uuid.uuid4().hex}"
    client.indices.create(index=other)
    index = make(**{"index.default_pipeline": make_pipeline({"set": {"field": "_index", "value": other}})})
    assert "left=0" in written(bulk(proxy_url, f"/{index}/_bulk?refresh=true", *lines(3)))
    assert send(proxy_url, "PUT", f"/{index}/_doc/7?refresh=true", {"text": "one"}).status == 201
    mapping = client.indices.get_mapping(index=other)[other]["mappings"]["properties"]
    assert set(mapping) == {"text", "tenant"}
    assert client.count(index=other)["count"] == 4
    client.indices.delete(index=other)


def test_the_index_that_a_pipeline_chooses_decides_about_the_vector(
    client: OpenSearch, proxy_url: str, make: Make, make_pipeline: MakePipeline
) -> None:
    whole, lossy = make(), make({"_source": {"excludes": ["secret"]}})
    for target, said in ((whole, "repaired=3; left=0"), (lossy, "left=3; reason=source")):
        name = make_pipeline({"set": {"field": "_index", "value": target}})
        answer = bulk(proxy_url, f"/{make()}/_bulk?pipeline={name}&refresh=true", *lines(3))
        assert said in written(answer)
    assert len(state(client, whole).current) == len(state(client, lossy).missing) == 3


def test_an_id_that_a_pipeline_sets_is_found(
    client: OpenSearch, proxy_url: str, make: Make, make_pipeline: MakePipeline
) -> None:
    index = make(
        **{"index.default_pipeline": make_pipeline({"set": {"field": "_id", "value": "{{{tenant}}}"}})}
    )
    assert "repaired=5; left=0" in written(bulk(proxy_url, f"/{index}/_bulk", *lines(5)))
    assert state(client, index).current == {f"t{n}" for n in range(5)}


def test_what_is_dropped_or_deleted_is_not_counted(
    client: OpenSearch, proxy_url: str, make: Make, make_pipeline: MakePipeline
) -> None:
    index = make()
    dropping, keeping = make_pipeline({"drop": {}}), make_pipeline({"set": {"field": "seen", "value": True}})
    assert written(bulk(proxy_url, f"/{index}/_bulk?pipeline={dropping}", *lines(3))).endswith("left=0")
    one = {"text": "one"}
    assert written(send(proxy_url, "PUT", f"/{index}/_doc/1?pipeline={dropping}", one)).endswith("left=0")
    gone = (*lines(2), {"delete": {"_id": "0"}}, {"delete": {"_id": "1"}})
    assert written(bulk(proxy_url, f"/{index}/_bulk?pipeline={keeping}", *gone)).endswith("left=0")
    assert send(proxy_url, "PUT", f"/{index}/_doc/9", one).status == 201
    deleting = {"script": "ctx.op = 'delete'"}
    assert written(send(proxy_url, "POST", f"/{index}/_update/9", deleting)).endswith("left=0")
    assert state(client, index).documents == {}


@pytest.mark.parametrize("number", [1, 2, 3, 5, 17])
def test_a_routing_leads_where_opensearch_says(client: OpenSearch, make: Make, number: int) -> None:
    index = make(number_of_shards=number)
    for routing in ("a", "0", "t1", "ü€", "\U00010348 longer", "x" * 200):
        path = f"/{index}/_search_shards?routing={quote(routing)}"
        [[copy]] = client.transport.perform_request("GET", path)["shards"]
        assert ShardCount(number).find_shard(routing, "1") == copy["shard"]
    one_each = ShardCount(number).find_routings("1")
    assert {ShardCount(number).find_shard(routing, "1") for routing in one_each} == set(range(number))


def test_the_hash_is_opensearchs() -> None:
    # values of its own test of this hash
    assert murmur3("hell") == 0x5A0CB7C3
    assert murmur3("hello") == 0xD7C31989 - (1 << 32)
    assert murmur3("hello w") == 0x22AB2984

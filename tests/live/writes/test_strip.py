"""Vectors removed from the documents of a real index, and nothing else."""

import time

import pytest
from opensearchpy import OpenSearch, helpers

from opensearch.client import OpenSearchClient
from opensearch.errors import MappingError
from opensearch.index import strip as strip_module
from opensearch.index.strip import StripResult, check_strip, strip

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
FIELD = "rerank.vector"
VECTOR = {"type": "binary", "doc_values": True}


@pytest.fixture
def upstream(opensearch_url: str) -> OpenSearchClient:
    return OpenSearchClient(opensearch_url)


def make(client: OpenSearch, index: str, sources: dict[str, dict[str, object]]) -> None:
    mappings = {"properties": {"rerank": {"properties": {"vector": VECTOR}}}}
    client.indices.create(index=index, body={"mappings": mappings, "settings": {"number_of_shards": 2}})
    actions = (
        {"_index": index, "_id": id_, "_source": source, "routing": f"r{id_}"}
        for id_, source in sources.items()
    )
    helpers.bulk(client, actions, refresh=True)


def sources_of(client: OpenSearch, index: str) -> dict[str, object]:
    client.indices.refresh(index=index)
    hits = client.search(index=index, body={"size": 1000})["hits"]["hits"]
    return {hit["_id"]: hit["_source"] for hit in hits}


def test_the_vector_goes_and_everything_else_stays(
    client: OpenSearch, upstream: OpenSearchClient, index_name: str
) -> None:
    make(client, index_name, {
        "nested": {"t": 1, "rerank": {"vector": "AAAA"}},
        "dotted": {"t": 2, FIELD: "AAAA"},
        "beside": {"t": 3, "rerank": {"vector": "AAAA", "own": {}}},
        "without": {"t": 4},
        "null": {"t": 5, "rerank": None},
    })  # fmt: skip
    assert strip(upstream, index_name, FIELD) == StripResult(removed=3, left=0)
    assert sources_of(client, index_name) == {
        "nested": {"t": 1},
        "dotted": {"t": 2},
        "beside": {"t": 3, "rerank": {"own": {}}},
        "without": {"t": 4},
        "null": {"t": 5, "rerank": None},
    }
    assert strip(upstream, index_name, FIELD) == StripResult()


def test_a_document_that_changes_meanwhile_keeps_its_change(
    client: OpenSearch, upstream: OpenSearchClient, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first page is read, then one of its documents is written, then the page is stripped."""
    make(client, index_name, {str(n): {"t": n, "rerank": {"vector": "AAAA"}} for n in range(5)})
    real, changed = strip_module._remove_from_page, {"t": 77, "rerank": {"vector": "BBBB"}}
    removed: list[int] = []

    def late(*arguments: object) -> int:
        if not removed:
            client.index(index=index_name, id="3", routing="r3", body=changed, refresh=True)
        removed.append(real(*arguments))  # type: ignore[arg-type]
        return removed[-1]

    monkeypatch.setattr(strip_module, "_remove_from_page", late)
    assert strip(upstream, index_name, FIELD) == StripResult(removed=5, left=0)
    assert removed == [4, 1]
    assert sources_of(client, index_name)["3"] == {"t": 77}


def test_it_keeps_to_its_pace(
    client: OpenSearch, upstream: OpenSearchClient, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(client, index_name, {str(n): {"rerank": {"vector": "AAAA"}} for n in range(40)})
    monkeypatch.setattr(strip_module, "PAGE", 10)
    seen: list[tuple[int, ...]] = []
    started_s = time.monotonic()
    strip(upstream, index_name, FIELD, documents_per_s=40, progress=lambda *numbers: seen.append(numbers))
    assert time.monotonic() - started_s >= 0.99
    assert seen == [(10, 40), (20, 40), (30, 40), (40, 40)]


def test_versions_that_writers_give_are_not_moved(
    client: OpenSearch, upstream: OpenSearchClient, index_name: str
) -> None:
    meta = {"rerank": {"model": "m", "source_fields": ["t"], "versioning": "external"}}
    client.indices.create(index=index_name, body={"mappings": {"_meta": meta}})
    with pytest.raises(MappingError, match=r"found `versioning: external`.*Reindex"):
        check_strip(upstream, index_name)

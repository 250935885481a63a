"""`twinrank sync` on a real OpenSearch: what it finds, what it writes, and what it leaves alone."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from opensearchpy import OpenSearch

from indexer.document import Document
from indexer.enricher import hash_of
from indexer.sync.repair import RepairPlanner
from opensearch.changes.feed import read_changes
from opensearch.changes.shards import read_primary_shards
from opensearch.client import OpenSearchClient
from opensearch.errors import MappingError
from opensearch.fields import stored_vectors
from opensearch.index import metadata
from opensearch.retry import RetryPolicy
from opensearch.writes.bulk import Bulk
from reranker.stored_vector import unpack
from tests.support.http.raw_http import ask
from tests.support.indices.toy_index import index_body
from tests.support.sync_run import BUNDLE, make_index, synced, tiny_policies

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

JSON = {"Content-Type": "application/json"}


def put(url: str, index: str, document_id: str, body: bytes, query: str = "") -> dict[str, Any]:
    answer = ask(url, "PUT", f"/{index}/_doc/{document_id}{query}", body, JSON)
    assert answer.status in (200, 201), answer.body
    written: dict[str, Any] = json.loads(answer.body)
    return written


def is_current(url: str, index: str, source: dict[str, Any]) -> bool:
    """Whether the vector in a source is the tiny bundle's for the text that stands beside it."""
    settings = metadata.find_write_index(OpenSearchClient(url), index).rerank_settings()
    packed = stored_vectors.decode(stored_vectors.find_value(source, settings.field))
    assert packed is not None
    vector = unpack(packed)
    return (vector.model_tag, vector.text_hash) == (
        BUNDLE.model_tag,
        hash_of(Document(json.dumps(source)), settings),
    )


def source_of(client: OpenSearch, index: str, document_id: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    source: dict[str, Any] = client.get(index=index, id=document_id, **more)["_source"]
    return source


@pytest.fixture
def pipeline(client: OpenSearch) -> Iterator[str]:
    """Yield an ingest pipeline that writes the text anew and counts how often it ran."""
    name = f"test-{uuid.uuid4().hex}"
    script = "ctx.text = ctx.text + ' again'; ctx.runs = (ctx.runs == null ? 0 : ctx.runs) + 1"
    client.ingest.put_pipeline(id=name, body={"processors": [{"script": {"source": script}}]})
    yield name
    client.ingest.delete_pipeline(id=name)


def test_a_backfill_gives_every_document_its_vector_and_changes_nothing_else(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    make_index(client, index_name, shards=3)
    written = b'{"text": "one",\n "n": 1.10, "long": 1.234567890123456789012345, "e":"\\u00e9 \\ud800" }'
    for number in range(30):
        put(
            opensearch_url,
            index_name,
            str(number),
            written.replace(b"one", b"n%d" % number),
            f"?routing=r{number}",
        )
    first = synced(opensearch_url, index_name)
    assert (first.checked, first.written, first.is_complete) == (30, 30, True)
    stored = ask(opensearch_url, "GET", f"/{index_name}/_doc/7?routing=r7").body
    kept = written.replace(b"one", b"n7").replace(b"\n", b" ").removesuffix(b" }")
    assert b'"_source":' + kept in stored
    assert is_current(opensearch_url, index_name, json.loads(stored)["_source"])
    again = synced(opensearch_url, index_name)
    assert (again.written, again.outcomes) != (0, first.outcomes)
    assert (again.checked, again.current) == (30, 30), "our own writes come back once"
    assert synced(opensearch_url, index_name).checked == 0


def test_what_was_written_around_us_is_repaired(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    make_index(client, index_name)
    for number in range(4):
        put(opensearch_url, index_name, str(number), b'{"text": "old"}')
    synced(opensearch_url, index_name)
    client.update(index=index_name, id="0", body={"doc": {"text": "new"}})
    client.update(index=index_name, id="1", body={"script": "ctx._source.text = ''"})
    put(opensearch_url, index_name, "2", b'{"text": "x", "rerank": {"vector": "AAAA"}}')
    client.delete(index=index_name, id="3")
    done = synced(opensearch_url, index_name)
    assert done.written == 3
    assert is_current(opensearch_url, index_name, source_of(client, index_name, "0"))
    assert source_of(client, index_name, "1") == {"text": ""}
    assert is_current(opensearch_url, index_name, source_of(client, index_name, "2"))
    assert not client.exists(index=index_name, id="3")


def test_two_forms_of_the_field_become_one(opensearch_url: str, client: OpenSearch, index_name: str) -> None:
    make_index(client, index_name)
    put(
        opensearch_url,
        index_name,
        "1",
        b'{"text": "a", "rerank.vector": "AAAA", "rerank": {"vector": "BBBB"}}',
    )
    assert synced(opensearch_url, index_name).written == 1
    assert set(source_of(client, index_name, "1")) == {"text", "rerank"}
    assert is_current(opensearch_url, index_name, source_of(client, index_name, "1"))


def test_a_document_without_room_for_a_vector_is_told_and_left(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    make_index(client, index_name)
    put(opensearch_url, index_name, "1", b'{"text": "a", "rerank": [{"vector": "AAAA"}]}')
    put(opensearch_url, index_name, "2", b'{"text": "b"}')
    done = synced(opensearch_url, index_name)
    assert (done.written, done.rejected, done.is_complete) == (1, 1, False)
    assert done.samples[0]["_id"] == "1"
    assert "expected an object at 'rerank'" in done.samples[0]["reason"]
    assert "could not be repaired" in done.in_words()


@pytest.mark.parametrize("kind", ["default_pipeline", "final_pipeline"])
def test_a_repair_never_runs_an_ingest_pipeline_again(
    opensearch_url: str, client: OpenSearch, index_name: str, pipeline: str, kind: str
) -> None:
    make_index(client, index_name)
    client.indices.put_settings(index=index_name, body={f"index.{kind}": pipeline})
    put(opensearch_url, index_name, "1", b'{"text": "once"}')
    assert synced(opensearch_url, index_name).written == 1
    source = source_of(client, index_name, "1")
    assert (source["text"], source["runs"]) == ("once again", 1)
    assert is_current(opensearch_url, index_name, source)
    client.indices.put_settings(index=index_name, body={f"index.{kind}": None})
    client.update(index=index_name, id="1", body={"doc": {"text": ""}})
    client.indices.put_settings(index=index_name, body={f"index.{kind}": pipeline})
    assert synced(opensearch_url, index_name).written == 1
    assert stored_vectors.find_value(source_of(client, index_name, "1"), "rerank.vector") is None


@pytest.mark.parametrize("versioning", ["internal", "external"])
def test_a_newer_document_is_not_overwritten_and_a_deleted_one_not_brought_back(
    opensearch_url: str, client: OpenSearch, index_name: str, versioning: str
) -> None:
    make_index(client, index_name, shards=1, versioning=versioning)
    for number in range(3):
        put(opensearch_url, index_name, str(number), b'{"text": "old"}', "?version=7&version_type=external")
    client.indices.refresh(index=index_name)
    upstream = OpenSearchClient(opensearch_url)
    index = metadata.find_write_index(upstream, index_name)
    [shard] = read_primary_shards(upstream, index)
    changes = read_changes(upstream, shard, -1, shard.global_checkpoint, 10)
    repairs = RepairPlanner(index, index.rerank_settings(), tiny_policies()(index))(changes)
    put(opensearch_url, index_name, "0", b'{"text": "newer"}', "?version=8&version_type=external")
    ask(opensearch_url, "DELETE", f"/{index_name}/_doc/1?version=8&version_type=external")
    bulk = Bulk(upstream, index_name, RetryPolicy(), lambda reason: None)
    results = bulk.write([repair.item for repair in repairs if repair.item is not None])
    assert [result.status for result in results] == [409, 409, 200]
    assert source_of(client, index_name, "0") == {"text": "newer"}
    assert not client.exists(index=index_name, id="1")


def test_external_versions_of_a_writer_stay_its_own(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    make_index(client, index_name, versioning="external")
    put(opensearch_url, index_name, "1", b'{"text": "a"}', "?version=7&version_type=external")
    assert synced(opensearch_url, index_name).written == 1
    assert client.get(index=index_name, id="1")["_version"] == 7
    assert is_current(opensearch_url, index_name, source_of(client, index_name, "1"))
    put(opensearch_url, index_name, "1", b'{"text": "b"}', "?version=8&version_type=external")
    assert synced(opensearch_url, index_name).written == 1


def test_an_index_that_would_lose_something_is_refused(
    opensearch_url: str, client: OpenSearch, index_name: str, pipeline: str
) -> None:
    make_index(client, index_name, versioning="external")
    client.indices.put_settings(index=index_name, body={"index.final_pipeline": pipeline})
    with pytest.raises(MappingError, match="no final ingest pipeline"):
        synced(opensearch_url, index_name)


def test_an_index_whose_source_is_not_whole_is_looked_at_and_not_written(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    body = index_body(BUNDLE)
    body["mappings"]["_source"] = {"excludes": ["secret"]}
    client.indices.create(index=index_name, body=body)
    assert synced(opensearch_url, index_name).is_complete, "nothing to write"
    put(opensearch_url, index_name, "1", b'{"text": "a", "secret": "invoice"}')
    done = synced(opensearch_url, index_name)
    assert "keeps every field, found `_source.excludes` ['secret']" in done.blocked[index_name]
    assert (done.is_complete, done.written, done.missing) == (False, 0, 1)
    query = {"query": {"match": {"secret": "invoice"}}}
    assert client.count(index=index_name, body=query)["count"] == 1


BLOCKED = {
    "write": {"index.blocks.write": True},
    "read_only": {"index.blocks.read_only": True},
    "read_only_allow_delete": {"index.blocks.read_only_allow_delete": True},
}


@pytest.mark.parametrize("settings", BLOCKED.values(), ids=BLOCKED)
def test_a_blocked_index_ends_the_run_at_once_and_loses_nothing(
    opensearch_url: str, client: OpenSearch, index_name: str, settings: dict[str, Any]
) -> None:
    make_index(client, index_name)
    put(opensearch_url, index_name, "1", b'{"text": "a"}')
    client.indices.put_settings(index=index_name, body=settings)
    done = synced(opensearch_url, index_name)
    assert f"`{next(iter(settings))}: true`" in done.blocked[index_name]
    assert (done.is_complete, done.missing) == (False, 1)
    assert done.lag is not None
    assert done.lag.operations > 0
    client.indices.put_settings(index=index_name, body=dict.fromkeys(settings))
    lifted = synced(opensearch_url, index_name)
    assert (lifted.written, lifted.missing, lifted.is_complete) == (1, 0, True)


def test_an_append_only_index_is_told(opensearch_url: str, client: OpenSearch, index_name: str) -> None:
    body = index_body(BUNDLE)
    body["settings"]["index.append_only.enabled"] = True
    client.indices.create(index=index_name, body=body)
    client.index(index=index_name, body={"text": "a"}, refresh=True)
    done = synced(opensearch_url, index_name)
    assert "`index.append_only.enabled: true`" in done.blocked[index_name]
    assert (done.is_complete, done.missing) == (False, 1)


def test_one_blocked_index_does_not_keep_the_others_waiting(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    names = [f"{index_name}-{part}" for part in ("a", "b", "c")]
    for name in names:
        make_index(client, name)
        put(opensearch_url, name, "1", b'{"text": "a"}')
    client.indices.put_settings(index=names[0], body={"index.blocks.write": True})
    client.indices.close(index=names[1])
    done = synced(opensearch_url, ",".join(names))
    assert set(done.blocked) == set(names[:2])
    assert "POST /" in done.blocked[names[1]], "how to open it"
    assert done.written == 1
    for name in names:
        client.indices.delete(index=name)


def test_an_alias_and_a_data_stream_are_followed_whole(opensearch_url: str, client: OpenSearch) -> None:
    name = f"test-{uuid.uuid4().hex}"
    template = {
        "index_patterns": [name],
        "data_stream": {},
        "template": {
            "settings": {"number_of_replicas": 0, "number_of_shards": 1},
            "mappings": index_body(BUNDLE)["mappings"],
        },
    }  # fmt: skip
    client.indices.put_index_template(name=name, body=template)
    client.indices.create_data_stream(name=name)
    try:
        for part in range(2):
            body = {"@timestamp": "2026-01-01", "text": f"part {part}"}
            client.index(index=name, body=body)
            client.indices.rollover(alias=name)
        assert synced(opensearch_url, name).written == 2
        client.indices.refresh(index=name)
        hits = client.search(index=name)["hits"]["hits"]
        assert len({hit["_index"] for hit in hits}) == 2
        settings_of = [is_current(opensearch_url, hit["_index"], hit["_source"]) for hit in hits]
        assert settings_of == [True, True]
        assert synced(opensearch_url, f"{name}*").written == 0
    finally:
        client.indices.delete_data_stream(name=name)
        client.indices.delete_index_template(name=name)

"""`twinrank verify`: what every stored vector is worth, on a real OpenSearch."""

import base64
import json
from contextlib import closing

import numpy as np
import pytest
from opensearchpy import OpenSearch

from opensearch.changes import snapshot
from opensearch.client import OpenSearchClient
from opensearch.index import metadata
from reranker.stored_vector import pack
from reranker.text import Chunking, text_hash
from tests.support.index_command import Command
from tests.support.sync_run import BUNDLE, make_index, synced

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]


def packed(text: str, tag: int = BUNDLE.model_tag) -> str:
    values = np.ones((1, 8), np.float32)
    return base64.b64encode(pack(values, text_hash=text_hash(text, Chunking()), model_tag=tag)).decode()


def test_every_kind_is_counted_and_named(opensearch_url: str, client: OpenSearch, index_name: str) -> None:
    make_index(client, index_name)
    documents = {
        "current": {"text": "a", "rerank": {"vector": packed("a")}},
        "stale": {"text": "b", "rerank": {"vector": packed("a")}},
        "emptied": {"text": "", "rerank": {"vector": packed("a")}},
        "absent": {"text": "c"},
        "no-text": {"other": 1},
        "foreign": {"text": "d", "rerank": {"vector": packed("d", BUNDLE.model_tag + 1)}},
        "corrupt": {"text": "e", "rerank": {"vector": packed("e")[:40]}},
        "twice": {"text": "f", "rerank": {"vector": [packed("f"), packed("g")]}},
        "surrogate": {"text": "\ud800"},
    }
    for document_id, body in documents.items():
        client.index(index=index_name, id=document_id, body=json.dumps(body))
    command = Command(opensearch_url, index_name)
    done = command("verify", "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)[index_name]
    samples = {key: sorted(ids) for key, ids in report.pop("samples").items()}
    assert report == {
        "documents": 9, "current": 1, "stale": 2, "absent": 2, "without_text": 1, "foreign": 1, "corrupt": 2,
    }  # fmt: skip
    assert samples == {
        "stale": ["emptied", "stale"], "absent": ["absent", "surrogate"], "foreign": ["foreign"],
        "corrupt": ["corrupt", "twice"],
    }  # fmt: skip
    before = client.indices.stats(index=index_name)["_all"]["primaries"]["indexing"]["index_total"]
    assert before == len(documents), "verify writes nothing"
    synced(opensearch_url, index_name)
    after = command("verify")
    assert after.returncode == 0
    assert b"9 documents: 7 current, 0 stale, 0 absent, 2 without_text" in after.stdout


def test_more_than_one_page(opensearch_url: str, client: OpenSearch, index_name: str) -> None:
    make_index(client, index_name, shards=3)
    body = "".join(f'{{"index":{{"_id":"{n}"}}}}\n{{"text":"t"}}\n' for n in range(1200))
    client.bulk(index=index_name, body=body)
    report = json.loads(Command(opensearch_url, index_name)("verify", "--json").stdout)[index_name]
    assert (report["documents"], report["absent"]) == (1200, 1200)
    assert len(report["samples"]["absent"]) == 10


@pytest.mark.parametrize("shards", [1, 3])
def test_a_snapshot_has_each_document_once_whatever_is_written_meanwhile(
    opensearch_url: str, client: OpenSearch, index_name: str, shards: int
) -> None:
    """More than a page of each shard; documents are changed, deleted and added while it is read."""
    make_index(client, index_name, shards=shards)
    body = "".join(f'{{"index":{{"_id":"{n}"}}}}\n{{"text":"t"}}\n' for n in range(1_700))
    client.bulk(index=index_name, body=body, refresh=True)
    with closing(OpenSearchClient(opensearch_url)) as upstream:
        index = metadata.find_write_index(upstream, index_name)
        found: list[str] = []
        for stored in snapshot.read_documents(upstream, index, "rerank.vector", ("text",)):
            if len(found) == 10:
                changes = '{"delete":{"_id":"1600"}}\n{"index":{"_id":"7"}}\n{"text":"u"}\n'
                client.bulk(index=index_name, body=changes + '{"index":{}}\n{"text":"new"}\n', refresh=True)
            found.append(stored.id)
            assert stored.source == {"text": "t"}
    assert sorted(found, key=int) == [str(n) for n in range(1_700)]


def test_what_cannot_be_verified_is_told(opensearch_url: str, index_name: str) -> None:
    done = Command(opensearch_url, index_name)("verify")
    assert done.returncode == 1
    assert b"twinrank enable" in done.stderr
    assert b"Traceback" not in done.stderr

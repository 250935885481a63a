"""`/_plugins/_rerank/enrich`: the forms of documents that it takes, what comes back, and what it refuses."""

import base64
import gzip
import json
from typing import Any

import pytest
from opensearchpy import OpenSearch

from reranker.bundle import Bundle
from reranker.stored_vector import unpack
from reranker.text import Chunking, text_hash
from tests.support.http.raw_http import RawAnswer, ask
from tests.support.indices.toy_index import index_body
from tests.support.indices.write_checks import JSON, NDJSON, written
from tests.support.paths import TINY_BUNDLE

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]


@pytest.fixture
def index(client: OpenSearch, index_name: str) -> str:
    client.indices.create(index=index_name, body=index_body(Bundle.open(TINY_BUNDLE)))
    return index_name


def enrich(url: str, index: str, body: bytes, headers: dict[str, str], more: str = "") -> RawAnswer:
    return ask(url, "POST", f"/_plugins/_rerank/enrich?index={index}{more}", body, headers)


def is_current(document: dict[str, Any]) -> bool:
    vector = unpack(base64.b64decode(document["rerank"]["vector"], validate=True))
    return (vector.text_hash, vector.model_tag) == (
        text_hash(document["text"], Chunking()), Bundle.open(TINY_BUNDLE).model_tag,
    )  # fmt: skip


def test_one_document(proxy_url: str, index: str) -> None:
    answer = enrich(proxy_url, index, b'{ "n": 1.10, "text": "a" }\n', JSON)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.body.startswith(b'{ "n": 1.10, "text": "a" ')
    assert is_current(json.loads(answer.body))
    assert written(answer).startswith("documents=1; encoded=")


def test_an_array(proxy_url: str, index: str) -> None:
    documents = [{"text": "a"}, {"n": 1}, {"text": "b", "rerank": {"vector": "AAAA"}}]
    found = json.loads(enrich(proxy_url, index, json.dumps(documents).encode(), JSON).body)
    assert [document.get("text") for document in found] == ["a", None, "b"]
    assert is_current(found[0])
    assert found[1] == {"n": 1}
    assert is_current(found[2])
    assert enrich(proxy_url, index, b"[]", JSON).body == b"[]"


@pytest.mark.parametrize("packed", [False, True])
def test_lines(proxy_url: str, index: str, packed: bool) -> None:
    body = b"".join(b'{"text":"document %d"}\n' % n for n in range(600)) + b"\n"
    headers = NDJSON | ({"Content-Encoding": "gzip"} if packed else {})
    answer = enrich(proxy_url, index, gzip.compress(body) if packed else body, headers)
    lines = answer.body.split(b"\n")
    assert (len(lines), lines[-1]) == (601, b"")
    assert [json.loads(line)["text"] for line in lines[:-1]] == [f"document {n}" for n in range(600)]
    assert all(is_current(json.loads(line)) for line in lines[:-1])
    assert answer.headers["content-type"] == "application/x-ndjson"


def test_what_is_enriched_needs_no_encoding_when_it_is_written(
    client: OpenSearch, proxy_url: str, index: str
) -> None:
    document = enrich(proxy_url, index, b'{"text": "written later"}', JSON).body
    stored = ask(proxy_url, "PUT", f"/{index}/_doc/1", document, JSON)
    assert written(stored) == "documents=1; encoded=0; repaired=0; left=0"
    client.index(index=index, id="2", body=json.loads(document))
    assert is_current(client.get(index=index, id="2")["_source"])


def test_an_index_with_a_pipeline_gets_no_vector_that_may_not_fit(
    client: OpenSearch, proxy_url: str, index: str
) -> None:
    client.indices.put_settings(index=index, body={"index.default_pipeline": "some"})
    assert json.loads(enrich(proxy_url, index, b'{"text":"a"}', JSON).body) == {"text": "a"}
    assert is_current(json.loads(enrich(proxy_url, index, b'{"text":"a"}', JSON, "&pipeline=_none").body))


@pytest.mark.parametrize(("body", "headers", "status", "words"), [
    (b"", JSON, 400, "document 1: expected a JSON object"),
    (b"[1]", JSON, 400, "document 1: expected a JSON object"),
    (b"[{}", JSON, 400, "expected an array of documents"),
    (b'{"a":1}\n{"a":\n', NDJSON, 400, "document 2: expected a JSON object"),
    (b'{"text":"\xff"}', JSON, 400, "expected UTF-8"),
    (b'{"text":"a","rerank":"mine"}', JSON, 400, "expected an object at 'rerank'"),
    (b'{"text":"a"}', {"Content-Type": "application/cbor"}, 415, "expected JSON or lines"),
    (b"{}\n" * 10_001, NDJSON, 413, "at most 10000 documents"),
    (b" " * 33_600_000, JSON, 413, "at most 33554432 bytes"),
    (b"no gzip", JSON | {"Content-Encoding": "gzip"}, 413, "valid if compressed"),
], ids=lambda value: repr(value)[:30])  # fmt: skip
def test_what_is_refused(
    proxy_url: str, index: str, body: bytes, headers: dict[str, str], status: int, words: str
) -> None:
    answer = enrich(proxy_url, index, body, headers)
    error = json.loads(answer.body)
    assert (answer.status, error["status"]) == (status, status)
    assert words in error["error"]["root_cause"][0]["reason"]


def test_an_index_that_is_absent_or_has_no_settings_or_another_model(
    client: OpenSearch, proxy_url: str, index: str
) -> None:
    assert enrich(proxy_url, f"{index}-absent", b"{}", JSON).status == 404
    assert enrich(proxy_url, "", b"{}", JSON).status == 400
    client.indices.create(index=f"{index}-plain")
    plain = enrich(proxy_url, f"{index}-plain", b"{}", JSON)
    client.indices.delete(index=f"{index}-plain")
    assert plain.status == 400
    assert b"twinrank enable" in plain.body
    meta = {"_meta": {"rerank": {"model": "another", "source_fields": ["text"]}}}
    client.indices.create(index=f"{index}-other", body={"mappings": meta})
    other = enrich(proxy_url, f"{index}-other", b"{}", JSON)
    client.indices.delete(index=f"{index}-other")
    assert (other.status, b"another" in other.body) == (400, True)

"""Writes through the proxy on a real OpenSearch: the same answers and documents, and vectors that fit."""

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from opensearchpy import OpenSearch, helpers

from plugin.harness.proxy_process import running_proxy
from reranker.bundle import Bundle
from tests.support.http.raw_http import RawAnswer, ask
from tests.support.http.relay import Relay
from tests.support.indices.toy_index import index_body
from tests.support.indices.write_checks import JSON, NDJSON, bulk, send, state, written
from tests.support.paths import TINY_BUNDLE

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

SHOUTS = {"script": {"source": "ctx.text = ctx.text?.toUpperCase(); ctx.runs = (ctx.runs ?: 0) + 1"}}
"""An ingest processor that rewrites the text, and counts how often it ran."""


@pytest.fixture
def index(client: OpenSearch, index_name: str) -> str:
    client.indices.create(index=index_name, body=index_body(Bundle.open(TINY_BUNDLE)))
    return index_name


@pytest.fixture
def pipeline(client: OpenSearch) -> Iterator[str]:
    client.ingest.put_pipeline(id="shout", body={"processors": [SHOUTS]})
    yield "shout"
    for index in client.indices.get(index="test-*"):
        client.indices.delete(index=index)
    client.ingest.delete_pipeline(id="shout")


def items(answer: RawAnswer) -> list[dict[str, object]]:
    """Return the items of a bulk's answer, each under its action."""
    return [content for item in json.loads(answer.body)["items"] for content in item.values()]


def test_a_document_keeps_its_spelling_and_gets_its_vector(
    client: OpenSearch, opensearch_url: str, proxy_url: str, index: str
) -> None:
    source = b'{ "price": 1.10, "big": 12345678901234567890, "text" : "caf\\u00e9", "z":1 }'
    client.indices.put_mapping(index=index, body={"dynamic": False})
    assert send(proxy_url, "PUT", f"/{index}/_doc/1", source).status == 201
    stored = ask(opensearch_url, "GET", f"/{index}/_source/1").body
    assert stored.startswith(source[:-1] + b',"rerank":{"vector":"')
    assert state(client, index).current == {"1"}


def test_an_answer_says_what_was_encoded(proxy_url: str, index: str) -> None:
    first = bulk(proxy_url, f"/{index}/_bulk", {"index": {"_id": "1"}}, {"text": "said once"},
                 {"index": {"_id": "2"}}, {"text": "said once"},
                 {"index": {"_id": "3"}}, {"n": 1})  # fmt: skip
    assert written(first) == "documents=3; encoded=1; repaired=0; left=0"
    again = bulk(proxy_url, f"/{index}/_bulk", {"index": {"_id": "1"}}, {"text": "said once"})
    assert written(again) == "documents=1; encoded=0; repaired=0; left=0"


def test_a_new_proxy_encodes_nothing_that_is_stored(
    client: OpenSearch, opensearch_url: str, proxy_url: str, index: str, tmp_path: Path
) -> None:
    lines = [line for n in range(300) for line in ({"index": {"_id": str(n)}}, {"text": f"text number {n}"})]
    assert "encoded=300" in written(bulk(proxy_url, f"/{index}/_bulk", *lines))
    with running_proxy(opensearch_url, tmp_path, bundle=TINY_BUNDLE) as other:
        assert "encoded=0" in written(bulk(other.url, f"/{index}/_bulk", *lines))
    assert len(state(client, index).current) == 300


def test_other_indices_in_the_same_bulk_keep_their_bytes(
    client: OpenSearch, opensearch_url: str, proxy_url: str, index: str
) -> None:
    plain = f"{index}-plain"
    source = b'{ "text":"x", "rerank": {"vector": "anything"}, "n": 1.10 }'
    answer = bulk(proxy_url, "/_bulk?refresh=true", {"index": {"_index": plain, "_id": "1"}}, source + b"\n",
                  {"index": {"_index": index, "_id": "1"}}, {"text": "x"},
                  {"delete": {"_index": plain, "_id": "absent"}})  # fmt: skip
    assert [item["status"] for item in items(answer)] == [201, 201, 404]
    assert ask(opensearch_url, "GET", f"/{plain}/_source/1").body == source
    assert state(client, index).current == {"1"}
    client.indices.delete(index=plain)


BAD_BULKS = {
    "no action": b'{"index":{"_id":"1"}}\n{"text":"a"}\n{"bogus":{}}\n{"text":"b"}\n',
    "no newline at the end": b'{"index":{"_id":"1"}}\n{"text":"a"}',
    "an update that is no JSON": b'{"update":{"_id":"1"}}\n{"doc":\n',
    "two actions": b'{"index":{"_id":"1"},"create":{}}\n{"text":"a"}\n',
    "an unknown parameter": b'{"index":{"_id":"1","_routing":"x"}}\n{"text":"a"}\n',
    "no id": b'{"update":{}}\n{"doc":{"text":"a"}}\n',
    "empty": b"",
    "a document that is no JSON": b'{"index":{"_id":"1"}}\n{"text":\n{"index":{"_id":"2"}}\n{"text":"a"}\n',
    "a wrong mapping": b'{"index":{"_id":"1"}}\n{"n":"no number","text":"a"}\n{"create":{"_id":"2"}}\n{}\n',
    "a string where the vector belongs": b'{"index":{"_id":"1"}}\n{"text":"a","rerank":"mine"}\n',
    "no such document": b'{"update":{"_id":"9"}}\n{"doc":{"text":"a"}}\n{"delete":{"_id":"9"}}\n',
    "an absent alias": b'{"index":{"_index":"absent","_id":"1","require_alias":true}}\n{"text":"a"}\n',
    "a conflict": b'{"create":{"_id":"1"}}\n{"text":"a"}\n{"create":{"_id":"1"}}\n{"text":"b"}\n',
    "a lock that does not hold":
        b'{"index":{"_id":"1"}}\n{}\n{"update":{"_id":"1","if_seq_no":77,"if_primary_term":1}}\n{"doc":{"text":"a"}}\n',
    "a name that no index has": b'{"index":{"_index":"No*Name","_id":"1"}}\n{"text":"a"}\n',
}  # fmt: skip


@pytest.mark.parametrize("body", BAD_BULKS.values(), ids=BAD_BULKS.keys())
def test_a_bad_bulk_is_answered_as_opensearch_does(
    client: OpenSearch, opensearch_url: str, proxy_url: str, index: str, body: bytes
) -> None:
    """Both times to a fresh index of the same name; what differs between two such is taken out."""
    definition = index_body(Bundle.open(TINY_BUNDLE))
    definition["mappings"]["properties"]["n"] = {"type": "integer"}
    answers = []
    for url in (opensearch_url, proxy_url):
        client.indices.delete(index=index)
        client.indices.create(index=index, body=definition)
        uuid = client.indices.get_settings(index=index)[index]["settings"]["index"]["uuid"]
        answer = ask(url, "POST", f"/{index}/_bulk", body, NDJSON)
        content = json.loads(answer.body.replace(uuid.encode(), b"UUID"))
        content.pop("took", None)
        answers.append((answer.status, content))
    assert answers[1] == answers[0]


@pytest.mark.parametrize("packed", [False, True])
def test_packed_and_chunked_bodies(client: OpenSearch, proxy_url: str, index: str, packed: bool) -> None:
    body = b"".join(b'{"index":{"_id":"%d"}}\n{"text":"number %d"}\n' % (n, n) for n in range(500))
    sent = gzip.compress(body) if packed else body
    headers = NDJSON | ({"Content-Encoding": "gzip"} if packed else {})
    blocks = (sent[start : start + 1000] for start in range(0, len(sent), 1000))
    assert json.loads(ask(proxy_url, "POST", f"/{index}/_bulk", blocks, headers).body)["errors"] is False
    assert json.loads(ask(proxy_url, "PUT", f"/{index}/_bulk", sent, headers).body)["errors"] is False
    assert len(state(client, index).current) == 500


def test_a_damaged_gzip_is_answered_by_opensearch(opensearch_url: str, proxy_url: str, index: str) -> None:
    sent = gzip.compress(b'{"index":{}}\n{"text":"a"}\n' * 50)[:60]
    headers = NDJSON | {"Content-Encoding": "gzip"}
    straight = ask(opensearch_url, "POST", f"/{index}/_bulk", sent, headers)
    through = ask(proxy_url, "POST", f"/{index}/_bulk", sent, headers)
    assert through.status == straight.status
    assert len(items(through)) == len(items(straight))  # it takes what comes before the damage


@pytest.mark.parametrize("where", ["default", "final", "request", "line"])
def test_a_pipeline_that_rewrites_the_text(
    client: OpenSearch, opensearch_url: str, proxy_url: str, index: str, pipeline: str, where: str
) -> None:
    if where in ("default", "final"):
        client.indices.put_settings(index=index, body={f"index.{where}_pipeline": pipeline})
    url_part = f"&pipeline={pipeline}" if where == "request" else ""
    line = {"pipeline": pipeline} if where == "line" else {}
    stale = {"rerank": {"vector": "AAAA"}}
    answer = bulk(proxy_url, f"/{index}/_bulk?refresh=true{url_part}",
                  {"index": {"_id": "1", **line}}, {"text": "quiet words", **stale},
                  {"index": line}, {"text": "more words"})  # fmt: skip
    assert written(answer) == "documents=2; encoded=0; repaired=2; left=0"
    found = state(client, index)
    assert found.documents["1"] == {"text": "QUIET WORDS", "runs": 1}
    assert (len(found.current), found.stale, found.missing) == (2, set(), set())
    seq_no = items(answer)[0]["_seq_no"]
    locked = f"if_seq_no={seq_no}&if_primary_term={items(answer)[0]['_primary_term']}"
    single = send(proxy_url, "POST", f"/{index}/_update/1?{locked}", {"doc": {"text": "other words"}})
    assert single.status == 200, single.body
    assert state(client, index).current >= {"1"}


def test_a_pipeline_that_drops_the_text_or_the_document(
    client: OpenSearch, proxy_url: str, index: str, pipeline: str
) -> None:
    drop = {"drop": {"if": "ctx.n == 1"}}
    remove = {"remove": {"field": "text", "ignore_missing": True}}
    client.ingest.put_pipeline(id=pipeline, body={"processors": [drop, remove]})
    answer = bulk(proxy_url, f"/{index}/_bulk?pipeline={pipeline}", {"index": {"_id": "1"}},
                  {"text": "a", "n": 1}, {"index": {"_id": "2"}}, {"text": "b"})  # fmt: skip
    assert json.loads(answer.body)["errors"] is False
    found = state(client, index)
    assert (found.documents, found.current, found.missing) == ({"2": {}}, set(), set())


def test_external_versions_are_the_clients(client: OpenSearch, proxy_url: str, index: str) -> None:
    for version in (3, 7):
        target = f"/{index}/_doc/1?version={version}&version_type=external"
        assert json.loads(send(proxy_url, "PUT", target, {"text": f"v{version}"}).body)["_version"] == version
    late = send(proxy_url, "PUT", f"/{index}/_doc/1?version=5&version_type=external", {"text": "late"})
    assert late.status == 409
    assert state(client, index).current == {"1"}


def test_an_index_that_a_template_makes_and_a_data_stream(client: OpenSearch, proxy_url: str) -> None:
    body = index_body(Bundle.open(TINY_BUNDLE))
    client.indices.put_index_template(name="made", body={"index_patterns": ["made-*"], "template": body})
    stream = {"index_patterns": ["stream-*"], "data_stream": {}, "template": body}
    client.indices.put_index_template(name="stream", body=stream)
    try:
        assert send(proxy_url, "PUT", "/made-1/_doc/1", {"text": "first"}).status == 201
        document = {"@timestamp": "2026-01-01T00:00:00Z", "text": "an event"}
        for _ in range(2):
            answer = bulk(proxy_url, "/stream-1/_bulk", {"create": {}}, document)
            assert items(answer)[0]["status"] == 201
        assert state(client, "made-1").current == {"1"}
        client.indices.rollover(alias="stream-1")
        assert items(bulk(proxy_url, "/stream-1/_bulk", {"create": {}}, document))[0]["status"] == 201
        client.indices.refresh(index="stream-1")
        query = {"query": {"exists": {"field": "rerank.vector"}}}
        assert client.count(index="stream-1", body=query)["count"] == 3
    finally:
        client.indices.delete(index="made-1", ignore_unavailable=True)
        client.indices.delete_data_stream(name="stream-1")
        for name in ("made", "stream"):
            client.indices.delete_index_template(name=name)


def test_an_alias_with_routing(client: OpenSearch, proxy_url: str, index: str) -> None:
    client.indices.put_alias(index=index, name=f"{index}-alias", body={"routing": "k"})
    target = f"/{index}-alias"
    assert send(proxy_url, "PUT", f"{target}/_doc/1", {"text": "a"}).status == 201
    assert send(proxy_url, "POST", f"{target}/_update/1", {"doc": {"text": "b"}}).status == 200
    assert send(proxy_url, "POST", f"{target}/_update/1", {"script": "ctx._source.text = 'c'"}).status == 200
    found = state(client, index)
    assert (found.documents, found.current) == ({"1": {"text": "c"}}, {"1"})


def test_a_huge_text_and_a_line_over_the_limit(client: OpenSearch, proxy_url: str, index: str) -> None:
    long_text = "word " * 3_600_000  # 18 MB
    answer = bulk(proxy_url, f"/{index}/_bulk", {"index": {"_id": "1"}}, {"text": "word " * 200_000},
                  {"index": {"_id": "2"}}, {"text": long_text},
                  {"index": {"_id": "3"}}, {"text": "x"})  # fmt: skip
    assert [item["status"] for item in items(answer)] == [201, 201, 201]
    assert "repaired=1; left=0" in written(answer)
    assert client.get(index=index, id="2")["_source"]["text"] == long_text
    client.delete(index=index, id="2")
    assert state(client, index).current == {"1", "3"}


def test_a_client_that_leaves_in_the_middle_writes_nothing(
    client: OpenSearch, proxy_url: str, index: str
) -> None:
    relay = Relay(proxy_url)

    def blocks() -> Iterator[bytes]:
        for n in range(4000):
            yield b'{"index":{"_id":"%d"}}\n{"text":"number %d"}\n' % (n, random.Random(n).randrange(50))
        relay.cut()
        yield b"\n"

    with pytest.raises(ConnectionError):
        ask(relay.url, "POST", f"/{index}/_bulk", blocks(), NDJSON)
    client.indices.refresh(index=index)
    assert client.count(index=index)["count"] == 0


def test_the_helpers_of_opensearch_py(client: OpenSearch, proxy_url: str, index: str) -> None:
    with OpenSearch(proxy_url, timeout=60) as through:
        actions = ({"_index": index, "_id": str(n), "text": f"document {n}"} for n in range(700))
        assert helpers.bulk(through, actions, chunk_size=200) == (700, [])
    assert len(state(client, index).current) == 700


def test_a_search_finds_what_was_just_written(client: OpenSearch, proxy_url: str, index: str) -> None:
    send(proxy_url, "PUT", f"/{index}/_doc/1?refresh=true", {"text": "a quick example"})
    answer = send(proxy_url, "POST", f"/{index}/_search", {"query": {"match": {"text": "quick"}}})
    assert "scored=1" in answer.rerank_status


def test_nobody_behind_the_proxy(tmp_path: Path) -> None:
    with running_proxy("http://127.0.0.1:9", tmp_path, bundle=TINY_BUNDLE) as proxy:
        assert bulk(proxy.url, "/any/_bulk", {"index": {}}, {"text": "a"}).status == 502
        assert ask(proxy.url, "PUT", "/any/_doc/1", b"{}", JSON).status == 502


def test_the_document_in_an_updates_answer_is_shown_without_the_vector(
    proxy_url: str, opensearch_url: str, index: str
) -> None:
    send(proxy_url, "PUT", f"/{index}/_doc/1", {"text": "a", "n": 1})
    target = f"/{index}/_update/1?_source=true"
    answer = send(proxy_url, "POST", target, {"doc": {"text": "b"}})
    assert json.loads(answer.body)["get"]["_source"] == {"text": "b", "n": 1}
    assert b'"vector"' in ask(opensearch_url, "GET", f"/{index}/_source/1").body
    by_name = send(proxy_url, "POST", target.replace("true", "rerank"), {"doc": {"text": "c"}})
    assert "rerank" in json.loads(by_name.body)["get"]["_source"]


def test_the_documents_in_a_bulks_answer_are_shown_without_the_vector(proxy_url: str, index: str) -> None:
    update = {"update": {"_id": "1", "_source": True}}
    answer = bulk(
        proxy_url,
        f"/{index}/_bulk",
        {"index": {"_id": "1"}},
        {"text": "a", "n": 1},
        update,
        {"doc": {"n": 2}},
    )
    assert items(answer)[1]["get"]["_source"] == {"text": "a", "n": 2}  # type: ignore[index]

"""Writes through the proxy to indices whose `_source` lacks a field: no text is lost to search."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from opensearchpy import OpenSearch

from opensearch.writes.bulk_lines import MAX_LINE_BYTES
from reranker.bundle import Bundle
from tests.live.conftest import MakeIndex, MakePipeline
from tests.support.http.raw_http import RawAnswer
from tests.support.indices.toy_index import index_body
from tests.support.indices.write_checks import bulk, send, state, written
from tests.support.paths import TINY_BUNDLE

pytestmark = pytest.mark.live

DOCUMENT = {"text": "a letter", "attachment": {"content": "invoice of may"}}

LOSSY = {
    "excludes": {"excludes": ["attachment.content"]},
    "an object": {"excludes": ["attachment"]},
    "a pattern": {"excludes": ["*.content"]},
    "includes": {"includes": ["text", "rerank"]},
}

Make = Callable[..., str]


@pytest.fixture
def make(make_index: MakeIndex) -> Make:
    """Return what makes an index with a form of `_source`."""
    return lambda source=None, **settings: make_index({"_source": source} if source else None, **settings)


@pytest.fixture
def pipeline(make_pipeline: MakePipeline) -> str:
    """Return an ingest pipeline that leaves the text as it is."""
    return make_pipeline({"set": {"field": "seen", "value": True}})


def found(client: OpenSearch, index: str, text: str = "invoice") -> int:
    """Return how many documents have that text in the field that `_source` does not keep."""
    client.indices.refresh(index=index)
    number: int = client.count(index=index, body={"query": {"match": {"attachment.content": text}}})["count"]
    return number


def of_bulk(url: str, index: str, action: dict[str, Any], query: str = "") -> RawAnswer:
    return bulk(url, f"/{index}/_bulk{query}", action, DOCUMENT)


WAYS: dict[str, tuple[str | None, Callable[[str, str, str], RawAnswer]]] = {
    "index.default_pipeline": (
        "index.default_pipeline",
        lambda url, index, name: send(url, "PUT", f"/{index}/_doc/1", DOCUMENT),
    ),
    "index.final_pipeline": (
        "index.final_pipeline",
        lambda url, index, name: send(url, "PUT", f"/{index}/_create/1", DOCUMENT),
    ),
    "?pipeline= of a document": (
        None,
        lambda url, index, name: send(url, "POST", f"/{index}/_doc?pipeline={name}", DOCUMENT),
    ),
    "?pipeline= of a bulk": (
        None,
        lambda url, index, name: of_bulk(url, index, {"index": {}}, f"?pipeline={name}"),
    ),
    "pipeline in a line": (
        None,
        lambda url, index, name: of_bulk(url, index, {"create": {"_id": "1", "pipeline": name}}),
    ),
    "an upsert with a pipeline": (
        "index.default_pipeline",
        lambda url, index, name: send(
            url, "POST", f"/{index}/_update/1", {"doc": DOCUMENT, "doc_as_upsert": True}
        ),
    ),
    "an answer that is cut": (
        None,
        lambda url, index, name: of_bulk(
            url, index, {"index": {"_id": "1"}}, f"?pipeline={name}&filter_path=took"
        ),
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_write_by_a_pipeline_keeps_its_text(
    client: OpenSearch, proxy_url: str, make: Make, pipeline: str, way: str
) -> None:
    setting, write = WAYS[way]
    index = make({"excludes": ["attachment.content"]}, **({setting: pipeline} if setting else {}))
    answer = write(proxy_url, index, pipeline)
    assert answer.status in (200, 201), answer.body
    assert written(answer) == "documents=1; encoded=0; repaired=0; left=1; reason=source"
    assert found(client, index) == 1
    assert len(state(client, index).missing) == 1


@pytest.mark.parametrize("source", LOSSY.values(), ids=LOSSY)
def test_every_form_of_a_source_that_is_not_whole_is_seen(
    client: OpenSearch, proxy_url: str, make: Make, pipeline: str, source: dict[str, Any]
) -> None:
    index = make(source)
    answer = send(proxy_url, "PUT", f"/{index}/_doc/1?pipeline={pipeline}", DOCUMENT)
    assert "left=1; reason=source" in written(answer)
    assert found(client, index) == 1
    plain = send(proxy_url, "PUT", f"/{index}/_doc/1", DOCUMENT)
    assert "repaired=0; left=0" in written(plain)
    assert (found(client, index), state(client, index).current) == (1, {"1"})


@pytest.mark.parametrize("source", [None, {"includes": ["*"]}, {"excludes": []}])
def test_a_whole_source_is_written_twice(
    client: OpenSearch, proxy_url: str, make: Make, pipeline: str, source: dict[str, Any] | None
) -> None:
    index = make(source)
    answer = send(proxy_url, "PUT", f"/{index}/_doc/1?pipeline={pipeline}", DOCUMENT)
    assert "repaired=1; left=0" in written(answer)
    assert (found(client, index), state(client, index).current) == (1, {"1"})


def test_derived_source_loses_nothing_in_a_second_write(
    client: OpenSearch, proxy_url: str, make: Make, pipeline: str
) -> None:
    properties = {
        "tags": {"type": "keyword"},
        "price": {"type": "scaled_float", "scaling_factor": 10},
        "parts": {"properties": {"name": {"type": "keyword"}}},
    }
    name = f"test-{uuid.uuid4().hex}"
    whole = index_body(Bundle.open(TINY_BUNDLE))
    whole["settings"] |= {"index.derived_source.enabled": True}
    whole["mappings"]["properties"] = {
        **properties, "text": {"type": "text"},
        "rerank": {"properties": {"vector": {"type": "binary", "doc_values": True, "store": True}}},
    }  # fmt: skip
    client.indices.create(index=name, body=whole)
    document = {"text": "derived text", "tags": ["z", "a", "z"], "price": 1.26, "at": "2024-01-02T03:04:05Z",
                "parts": [{"name": "q"}, {"name": "p"}], "new": "seen dynamically"}  # fmt: skip
    assert send(proxy_url, "PUT", f"/{name}/_doc/once", document).status == 201
    twice = send(proxy_url, "PUT", f"/{name}/_doc/twice?pipeline={pipeline}", document)
    assert "repaired=1; left=0" in written(twice)
    after = state(client, name)
    assert after.current == {"once", "twice"}
    assert after.documents["twice"] == after.documents["once"] | {"seen": True}
    queries: list[dict[str, Any]] = [
        {"term": {"tags": "z"}},
        {"term": {"parts.name": "q"}},
        {"match": {"new": "seen"}},
        {"match_phrase": {"text": "derived text"}},
        {"range": {"at": {"lte": "2024-01-03"}}},
    ]
    for query in queries:
        assert client.count(index=name, body={"query": query})["count"] == 2, query
    client.indices.delete(index=name)


def test_a_line_that_is_too_long_to_be_read_keeps_its_text(
    client: OpenSearch, proxy_url: str, make: Make
) -> None:
    index = make({"excludes": ["attachment.content", "padding"]}, **{"index.mapping.ignore_malformed": True})
    client.indices.put_mapping(
        index=index, body={"properties": {"padding": {"type": "object", "enabled": False}}}
    )
    long = DOCUMENT | {"padding": {"x": "y" * MAX_LINE_BYTES}}
    answer = bulk(proxy_url, f"/{index}/_bulk", {"index": {"_id": "1"}}, long)
    assert "left=1; reason=source" in written(answer)
    assert found(client, index) == 1


UPDATES = {
    "that changes nothing": {"doc": {"text": "a letter"}},
    "that changes nothing, with a field more": {"doc": {"text": "a letter", "n": 1}},
}


@pytest.mark.parametrize("body", UPDATES.values(), ids=UPDATES)
def test_an_update_that_changes_nothing_stays_that(
    client: OpenSearch, opensearch_url: str, proxy_url: str, make: Make, body: dict[str, Any]
) -> None:
    index = make({"excludes": ["attachment.content"]})
    # written straight to OpenSearch: no vector that an update could leave as it is
    assert send(opensearch_url, "PUT", f"/{index}/_doc/1", DOCUMENT | {"n": 1}).status == 201
    answer = send(proxy_url, "POST", f"/{index}/_update/1", body)
    assert json.loads(answer.body)["result"] == "noop"
    assert written(answer) == "documents=1; encoded=0; repaired=0; left=1; reason=source"
    lines = ({"update": {"_id": "1"}}, {"doc": {"n": 1}}, {"update": {"_id": "1"}}, body)
    again = json.loads(bulk(proxy_url, f"/{index}/_bulk", *lines).body)
    assert [item["update"]["result"] for item in again["items"]] == ["noop", "noop"]
    assert found(client, index) == 1


def test_an_update_that_brings_the_text_keeps_it_and_has_its_vector(
    client: OpenSearch, proxy_url: str, make: Make
) -> None:
    index = make({"excludes": ["attachment.content"]})
    assert send(proxy_url, "PUT", f"/{index}/_doc/1", DOCUMENT).status == 201
    body = {"doc": {"text": "another letter", "attachment": {"content": "receipt"}}}
    answer = send(proxy_url, "POST", f"/{index}/_update/1", body)
    assert "repaired=0; left=0" in written(answer)
    assert found(client, index, "receipt") == 1
    assert state(client, index).current == {"1"}


def test_an_update_after_which_nothing_is_left_to_lose_gets_its_vector(
    client: OpenSearch, opensearch_url: str, proxy_url: str, make: Make
) -> None:
    """OpenSearch itself loses the field by any update: so this is no loss of the proxy's."""
    index = make({"excludes": ["attachment.content"]})
    assert send(opensearch_url, "PUT", f"/{index}/_doc/1", DOCUMENT).status == 201
    assert send(opensearch_url, "POST", f"/{index}/_update/1", {"doc": {"n": 1}}).status == 200
    assert found(client, index) == 0
    body = {"script": "ctx._source.text = 'by a script'"}
    answer = send(proxy_url, "POST", f"/{index}/_update/1", body)
    assert "repaired=1; left=0" in written(answer)
    assert state(client, index).current == {"1"}


def test_a_script_that_names_the_field_is_not_followed_by_a_second_write(
    client: OpenSearch, proxy_url: str, make: Make
) -> None:
    index = make({"excludes": ["attachment.content"]})
    assert send(proxy_url, "PUT", f"/{index}/_doc/1", {"text": "a letter"}).status == 201
    script = "ctx._source.attachment = ['content': params.content]; ctx._source.text = 'scripted'"
    body = {"script": {"source": script, "params": {"content": "receipt"}}}
    answer = send(proxy_url, "POST", f"/{index}/_update/1", body)
    assert "repaired=0; left=1; reason=source" in written(answer)
    assert found(client, index, "receipt") == 1


def test_a_template_with_such_a_source_is_seen_before_its_index_exists(
    client: OpenSearch, proxy_url: str, pipeline: str
) -> None:
    name = f"test-{uuid.uuid4().hex}"
    body = index_body(Bundle.open(TINY_BUNDLE))
    body["mappings"]["_source"] = {"excludes": ["attachment.content"]}
    template = {"index_patterns": [f"{name}*"], "template": body, "priority": 900}
    client.indices.put_index_template(name=name, body=template)
    answer = send(proxy_url, "PUT", f"/{name}-1/_doc/1?pipeline={pipeline}", DOCUMENT)
    assert "left=1; reason=source" in written(answer)
    assert found(client, f"{name}-1") == 1
    client.indices.delete(index=f"{name}-1")
    client.indices.delete_index_template(name=name)


def test_the_index_that_is_written_to_decides_behind_an_alias(
    client: OpenSearch, proxy_url: str, make: Make, pipeline: str
) -> None:
    whole, lossy = make(), make({"excludes": ["attachment.content"]})
    alias = f"alias-{uuid.uuid4().hex}"
    for index, is_written in ((whole, False), (lossy, True)):
        client.indices.put_alias(index=index, name=alias, body={"is_write_index": is_written})
    answer = send(proxy_url, "PUT", f"/{alias}/_doc/1?pipeline={pipeline}", DOCUMENT)
    assert "left=1; reason=source" in written(answer)
    assert found(client, lossy) == 1


def test_an_append_only_index_takes_no_second_write(
    client: OpenSearch, proxy_url: str, make: Make, pipeline: str
) -> None:
    index = make(None, **{"index.append_only.enabled": True})
    answer = bulk(proxy_url, f"/{index}/_bulk?pipeline={pipeline}", {"index": {}}, {"text": "by a pipeline"})
    assert written(answer) == "documents=1; encoded=0; repaired=0; left=1; reason=append_only"
    plain = bulk(proxy_url, f"/{index}/_bulk", {"index": {}}, {"text": "without one"})
    assert "repaired=0; left=0" in written(plain)
    assert len(state(client, index).current) == 1

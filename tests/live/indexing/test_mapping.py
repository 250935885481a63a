"""Enabling an index on a real OpenSearch: what is written, what is kept, and what is refused."""

import threading
from typing import Any

import pytest
from opensearchpy import OpenSearch

from opensearch.client import OpenSearchClient
from opensearch.errors import AddressError, MappingError, RequestError, UnreachableError
from opensearch.index import metadata
from opensearch.index.enable import EnableRequest, enable
from opensearch.settings.table import SettingsError
from plugin.harness.proxy_process import free_port

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
WANTED = EnableRequest("m", {"source_fields": ["title", "text"]})
VECTOR = {"type": "binary", "doc_values": True}


@pytest.fixture
def upstream(opensearch_url: str) -> OpenSearchClient:
    return OpenSearchClient(opensearch_url)


def mapping_of(client: OpenSearch, name: str) -> dict[str, Any]:
    answer = client.indices.get_mapping(index=name)
    mapping: dict[str, Any] = answer[name]["mappings"]
    return mapping


def make(client: OpenSearch, name: str, mappings: dict[str, Any], **settings: Any) -> None:  # noqa: ANN401
    client.indices.create(index=name, body={"mappings": mappings, "settings": settings})


def test_an_index_is_created(upstream: OpenSearchClient, client: OpenSearch, index_name: str) -> None:
    [enabled] = enable(upstream, index_name, WANTED)
    mapping = mapping_of(client, index_name)
    assert mapping["_meta"] == {"rerank": {"model": "m", "source_fields": ["title", "text"]}}
    assert mapping["properties"] == {"rerank": {"properties": {"vector": VECTOR}}}
    assert enabled.changes[0] == "index created"
    assert metadata.find_write_index(upstream, index_name).rerank_settings() == enabled.settings


def test_a_dry_run_changes_nothing(upstream: OpenSearchClient, client: OpenSearch, index_name: str) -> None:
    assert enable(upstream, index_name, WANTED, dry_run=True)[0].changes
    assert not client.indices.exists(index=index_name)
    make(client, index_name, {})
    assert enable(upstream, index_name, WANTED, dry_run=True)[0].changes
    assert mapping_of(client, index_name) == {}


def test_everything_else_in_the_mapping_stays(
    upstream: OpenSearchClient, client: OpenSearch, index_name: str
) -> None:
    before = {
        "dynamic": "strict",
        "_meta": {"owner": {"team": "x", "n": 1.5}},
        "properties": {"title": {"type": "text"}},
    }
    make(client, index_name, before)
    [enabled] = enable(upstream, index_name, WANTED)
    after = mapping_of(client, index_name)
    assert after["_meta"]["owner"] == {"team": "x", "n": 1.5}
    assert after["dynamic"] == "strict"
    assert after["properties"] == {"title": {"type": "text"}, "rerank": {"properties": {"vector": VECTOR}}}
    assert [note for note in enabled.notes if note.startswith("text: not mapped")]
    assert not [note for note in enabled.notes if note.startswith("title: ")]


def test_a_second_time_says_and_writes_what_changed(
    upstream: OpenSearchClient, client: OpenSearch, index_name: str
) -> None:
    enable(upstream, index_name, WANTED)
    [same] = enable(upstream, index_name, EnableRequest("other default"))
    assert (same.changes, same.vectors_stale) == ((), False)
    [changed] = enable(upstream, index_name, EnableRequest("m", {"window_size": 50, "fusion": {"weight": 3}}))
    assert set(changed.changes) == {"fusion.weight: not set -> 3.0", "window_size: 100 -> 50"}
    assert not changed.vectors_stale
    [fields] = enable(upstream, index_name, EnableRequest("m", {"source_fields": ["title"]}))
    assert fields.changes == ("source_fields: title, text -> title",)
    assert fields.vectors_stale
    assert mapping_of(client, index_name)["_meta"]["rerank"] == {
        "model": "m",
        "source_fields": ["title"],
        "window_size": 50,
        "fusion": {"weight": 3.0},
    }


def test_invalid_settings_are_replaced_and_said(
    upstream: OpenSearchClient, client: OpenSearch, index_name: str
) -> None:
    make(client, index_name, {"_meta": {"rerank": {"modle": "m"}}})
    [enabled] = enable(upstream, index_name, WANTED)
    assert "invalid settings replaced" in enabled.changes[0]
    assert "modle" in enabled.changes[0]


@pytest.mark.parametrize(
    ("mapping", "reason"),
    [
        ({"_source": {"enabled": False}}, "found `_source.enabled: false`"),
        ({"_source": {"excludes": ["rerank.vector"]}}, r"found `_source.excludes` \['rerank.vector'\]"),
        ({"_source": {"excludes": ["x", "rer*"]}}, "would destroy the vector"),
        ({"_source": {"excludes": ["*.vector"]}}, "would destroy the vector"),
        ({"_source": {"includes": ["title", "text"]}}, "`_source.includes`"),
        ({"properties": {"rerank": {"type": "text"}}}, "field rerank to be free or a vector field"),
        ({"properties": {"rerank": {"type": "nested"}}}, "field rerank to be free or a vector field"),
        ({"properties": {"rerank": {"type": "object", "enabled": False}}}, "field rerank to be free"),
        (
            {"properties": {"rerank": {"properties": {"vector": {"type": "keyword"}}}}},
            "found {'type': 'keyword'",
        ),
        (
            {"properties": {"rerank": {"properties": {"vector": {"type": "binary"}}}}},
            "found {'type': 'binary'}",
        ),
    ],
)
def test_what_would_lose_the_vectors_is_refused(
    upstream: OpenSearchClient, client: OpenSearch, index_name: str, mapping: dict[str, Any], reason: str
) -> None:
    make(client, index_name, mapping)
    before = mapping_of(client, index_name)
    with pytest.raises(MappingError, match=reason) as error:
        enable(upstream, index_name, WANTED)
    assert index_name in str(error.value)
    assert mapping_of(client, index_name) == before


@pytest.mark.parametrize(
    "source",
    [{"excludes": ["rerank.vector.x", "rerank?"]}, {"includes": ["rerank", "title"]}, {"includes": ["r*r"]}],
)
def test_a_source_filter_that_keeps_the_vector_is_fine(
    upstream: OpenSearchClient, client: OpenSearch, index_name: str, source: dict[str, Any]
) -> None:
    make(client, index_name, {"_source": source})
    enable(upstream, index_name, WANTED)
    client.index(index=index_name, id="1", body={"rerank": {"vector": "AAAA"}})
    assert client.get(index=index_name, id="1")["_source"] == {"rerank": {"vector": "AAAA"}}


def test_another_field_can_hold_the_vector(
    upstream: OpenSearchClient, client: OpenSearch, index_name: str
) -> None:
    make(client, index_name, {"properties": {"rerank": {"type": "text"}}})
    [enabled] = enable(upstream, index_name, EnableRequest("m", {**WANTED.settings, "field": "twin.v"}))
    assert enabled.settings.field == "twin.v"
    assert mapping_of(client, index_name)["properties"]["twin"] == {"properties": {"v": VECTOR}}


@pytest.mark.parametrize("name", ["", "_v", "a b", "a..b", "a.*", ".a", "a."])
def test_a_vector_field_has_a_proper_name(upstream: OpenSearchClient, index_name: str, name: str) -> None:
    with pytest.raises((MappingError, SettingsError), match="expected"):
        enable(upstream, index_name, EnableRequest("m", {**WANTED.settings, "field": name}))


def test_derived_source_rebuilds_the_vector(
    upstream: OpenSearchClient, client: OpenSearch, index_name: str
) -> None:
    make(client, index_name, {}, **{"index.derived_source.enabled": True})
    enable(upstream, index_name, WANTED)
    client.index(index=index_name, id="1", body={"rerank": {"vector": "AAAA"}}, params={"refresh": "true"})
    answer = client.get(index=index_name, id="1", params={"realtime": "false"})
    assert answer["_source"] == {"rerank": {"vector": "AAAA"}}


def test_an_alias_enables_all_its_indices_or_none(
    upstream: OpenSearchClient, client: OpenSearch, index_name: str
) -> None:
    first, second, alias = f"{index_name}-1", f"{index_name}-2", f"{index_name}-alias"
    make(client, first, {})
    make(client, second, {"_source": {"enabled": False}})
    client.indices.put_alias(index=f"{first},{second}", name=alias)
    try:
        with pytest.raises(MappingError, match=second):
            enable(upstream, alias, WANTED)
        assert mapping_of(client, first) == {}
        with pytest.raises(MappingError, match="found 2 indices"):
            metadata.find_write_index(upstream, alias)
        client.indices.delete(index=second)
        make(client, second, {})
        client.indices.put_alias(index=second, name=alias, body={"is_write_index": True})
        assert [enabled.index for enabled in enable(upstream, alias, WANTED)] == [first, second]
        assert metadata.find_write_index(upstream, alias).name == second
    finally:
        client.indices.delete(index=f"{first},{second}")


def test_two_at_once_lose_nothing_of_each_other(
    upstream: OpenSearchClient, client: OpenSearch, index_name: str
) -> None:
    make(client, index_name, {"_meta": {"owner": "x"}})
    outcomes: list[object] = []

    def write(size: int) -> None:
        try:
            outcomes.append(
                enable(upstream, index_name, EnableRequest("m", {**WANTED.settings, "window_size": size}))
            )
        except MappingError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=write, args=(size,)) for size in (10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    meta = mapping_of(client, index_name)["_meta"]
    assert len(outcomes) == 2
    assert meta["owner"] == "x"
    assert meta["rerank"]["window_size"] in (10, 20)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "Give --field FIELD"),
        ({"source_fields": ["t"], "window_size": 0}, "window_size"),
        ({"source_fields": ["t"], "fusion": {"weight": 41}}, "weight"),
        ({"source_fields": ["rerank"]}, "other than the vector field"),
        ({"source_fields": ["rerank.vector.x"]}, "other than the vector field"),
    ],
)
def test_wrong_settings_create_nothing(
    upstream: OpenSearchClient, client: OpenSearch, index_name: str, settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(SettingsError, match=reason):
        enable(upstream, index_name, EnableRequest("m", settings))
    assert not client.indices.exists(index=index_name)


@pytest.mark.parametrize("name", ["Upper", "a b", "a*", "a,b", "_x"])
def test_a_name_that_no_index_can_have(upstream: OpenSearchClient, name: str) -> None:
    with pytest.raises(RequestError):
        enable(upstream, name, WANTED)


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_leads_elsewhere(upstream: OpenSearchClient, name: str) -> None:
    with pytest.raises(AddressError, match="expected the name of an index"):
        enable(upstream, name, WANTED)


def test_an_opensearch_that_is_not_there() -> None:
    with pytest.raises(UnreachableError, match=r"cannot be reached.*Check that it runs"):
        enable(OpenSearchClient(f"http://127.0.0.1:{free_port()}"), "x", WANTED)


@pytest.mark.parametrize("url", ["", "localhost:9200", "ftp://x", "http://", "http://x:y", "http://x:99999"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(AddressError, match="expected the URL of OpenSearch"):
        OpenSearchClient(url)


def test_a_password_is_never_shown() -> None:
    port = free_port()
    upstream = OpenSearchClient(f"http://user:secret@127.0.0.1:{port}/prefix")
    with pytest.raises(UnreachableError) as error:
        upstream.request("GET", "/")
    assert "secret" not in str(error.value)
    assert f"http://127.0.0.1:{port}/prefix" in str(error.value)

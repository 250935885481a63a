"""What commands say of an index whose documents cannot be written again: before anything is changed."""

import json
from typing import Any

import pytest
from opensearchpy import OpenSearch

from opensearch.index.kept_source import KeptSource
from opensearch.index.metadata import Index
from opensearch.index.write_obstacle import find_write_obstacle
from tests.support.index_command import Command, lines
from tests.support.indices.toy_index import index_body
from tests.support.sync_run import BUNDLE

pytestmark = pytest.mark.live


def make(client: OpenSearch, name: str, **settings: Any) -> None:  # noqa: ANN401  # any index setting
    body = index_body(BUNDLE)
    body["mappings"]["_source"] = {"excludes": ["secret"]}
    body["settings"] |= settings
    client.indices.create(index=name, body=body)
    client.index(index=name, body={"text": "a", "secret": "invoice"}, refresh=True)


def said(command: Command, name: str, *arguments: str, status: int = 0, bundle: bool = True) -> str:
    done = (command if bundle else command.run)(name, *arguments)
    assert done.returncode == status, done.stderr
    return done.stdout.decode() + done.stderr.decode()


@pytest.mark.parametrize(
    ("settings", "found"),
    [({}, "`_source.excludes` ['secret']"), ({"index.append_only.enabled": True}, "`index.append_only")],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    client: OpenSearch, opensearch_url: str, index_name: str, settings: dict[str, Any], found: str
) -> None:
    make(client, index_name, **settings)
    command = Command(opensearch_url, index_name)
    before = client.indices.get_mapping(index=index_name)
    note = said(command, "enable", "--field", "text", "--dry-run")
    assert "vectors only on writes through the proxy without an ingest pipeline" in note
    assert found in note
    assert "sync cannot write here" in said(command, "status")
    assert json.loads(command("status", "--json").stdout)["missing"] == 1
    assert "keeps every field" in said(command, "disable", "--strip", status=1, bundle=False)
    moved = said(command, "migrate", "--to", str(BUNDLE.path), status=1, bundle=False)
    assert "keeps every field" in moved
    assert "cannot be written to" in said(command, "sync", status=1)
    assert client.indices.get_mapping(index=index_name) == before
    assert client.count(index=index_name, body={"query": {"match": {"secret": "invoice"}}})["count"] == 1


def test_a_document_without_its_field_is_written_by_the_index_command(
    client: OpenSearch, opensearch_url: str, index_name: str
) -> None:
    """What `_source` lacks cannot tell that a document is unchanged."""
    make(client, index_name)
    command = Command(opensearch_url, index_name)
    command.load(lines({"_id": "1", "text": "b", "secret": "receipt"}))
    query = {"query": {"match": {"secret": "receipt"}}}
    assert client.count(index=index_name, body=query)["count"] == 1
    command.load(lines({"_id": "1", "text": "b"}))
    assert client.count(index=index_name, body=query)["count"] == 0


@pytest.mark.parametrize("block", ["write", "read_only"])
def test_a_block_is_named_with_the_way_out(
    client: OpenSearch, opensearch_url: str, index_name: str, block: str
) -> None:
    make(client, index_name)
    command = Command(opensearch_url, index_name)
    client.indices.put_settings(index=index_name, body={f"index.blocks.{block}": True})
    refused = said(command, "index", "-", status=1)
    assert f'"index.blocks.{block}": null' in refused
    if block == "read_only":
        told = said(command, "enable", "--field", "text", status=1)
        assert "blocked by" in told
        assert "password" not in told
    client.indices.put_settings(index=index_name, body={f"index.blocks.{block}": None})


def test_a_closed_index_is_named_with_the_way_out(
    client: OpenSearch, opensearch_url: str, index_name: str
) -> None:
    make(client, index_name)
    client.indices.close(index=index_name)
    assert f"POST /{index_name}/_open" in said(Command(opensearch_url, index_name), "status", status=1)


@pytest.mark.parametrize(
    ("setting", "value", "found"),
    [
        ("index.store.type", "remote_snapshot", "a searchable snapshot"),
        ("index.plugins.replication.follower.leader_index", "far", "follows another cluster"),
    ],
)
def test_indices_that_are_written_elsewhere(setting: str, value: str, found: str) -> None:
    obstacle = find_write_obstacle(Index("a", {}, {setting: value}, {}))
    assert obstacle is not None
    assert found in obstacle.found


@pytest.mark.parametrize(
    ("source", "kept", "dropped"),
    [
        ({"excludes": "a.b"}, {"a": {"c": 1}, "x": [{"a": 1}]}, {"a": [{"b": 1}]}),
        ({"excludes": ["a*"]}, {"b": {"a": 1}}, {"ab": 1}),
        ({"excludes": ["a.b"]}, {"a": {"b": None}}, {"a.b": 1}),
        ({"includes": ["a"]}, {"a": {"b": 1}}, {"b": 1}),
        ({"includes": ["a.b"], "excludes": ["a.b.c"]}, {"a": {"b": {"d": 1}}}, {"a": {"b": {"c": 1}}}),
        ({"enabled": False}, {}, {"a": 1}),
    ],
)
def test_what_a_document_loses(source: dict[str, Any], kept: dict[str, Any], dropped: dict[str, Any]) -> None:
    read = KeptSource.from_mapping({"_source": source})
    assert not read.is_whole
    assert (read.drops(kept), read.drops(dropped)) == (False, True)

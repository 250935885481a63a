"""`twinrank estimate`: what it says of an index with settings, without, and of one with nothing to encode."""

import json

import pytest
from opensearchpy import OpenSearch, helpers

from tests.support.index_command import Command
from tests.support.sync_run import make_index, synced

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]


def load(client: OpenSearch, index: str, count: int) -> None:
    actions = ({"_index": index, "_id": str(n), "text": f"text {n} " * (n % 40 + 1)} for n in range(count))
    helpers.bulk(client, actions, refresh=True)


def test_an_index_is_sampled_and_nothing_is_written(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    make_index(client, index_name)
    load(client, index_name, 300)
    command = Command(opensearch_url, index_name)
    done = command("estimate", "--sample", "50", "--price-per-core-hour", "2", "--cores", "4", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["documents"], found["sampled"], found["cores"]) == (300, 50, 4)
    for name in ("core_hours", "hours", "vector_gb", "dollars", "ms_per_document"):
        assert 0 < found[name]["low"] <= found[name]["value"] <= found[name]["high"], name
    assert found["dollars"]["value"] == pytest.approx(2 * found["core_hours"]["value"], rel=0.01)
    assert found["hours"]["value"] == pytest.approx(found["core_hours"]["value"] / 4, rel=0.01)
    assert sum(each["sampled"] for each in found["by_length"]) == 50
    exists = {"query": {"exists": {"field": "rerank.vector"}}}
    assert client.count(index=index_name, body=exists)["count"] == 0
    shown = command("estimate", "--sample", "20").stdout.decode()
    assert f"{index_name}: 300 documents, 0 with a vector" in shown
    assert "to encode:   300 documents" in shown
    assert "cost" not in shown


def test_what_lacks_a_vector_counts_and_else_everything(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    make_index(client, index_name, shards=1)
    load(client, index_name, 30)
    synced(opensearch_url, index_name)
    client.indices.refresh(index=index_name)
    command = Command(opensearch_url, index_name)
    assert json.loads(command("estimate", "--json").stdout)["documents"] == 30
    helpers.bulk(client, ({"_index": index_name, "text": f"more {n}"} for n in range(7)), refresh=True)
    found = json.loads(command("estimate", "--json").stdout)
    assert (found["documents"], found["sampled"]) == (7, 7)


def test_an_index_that_is_not_enabled_yet_needs_the_fields(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    command = Command(opensearch_url, index_name)
    missing = command("estimate", "--field", "text")
    client.indices.create(index=index_name)
    empty = command("estimate", "--field", "text")
    load(client, index_name, 20)
    without = command("estimate")
    other = command("estimate", "--field", "title")
    for done, reason in (
        (missing, b"no index"),
        (empty, b"expected documents to sample, found none"),
        (without, b"twinrank estimate %s --field FIELD" % index_name.encode()),
        (other, b"expected text in title, found none in 20 documents"),
    ):
        assert done.returncode == 1
        assert reason in done.stderr
        assert b"Traceback" not in done.stderr
    assert command("estimate", "--field", "text").returncode == 0

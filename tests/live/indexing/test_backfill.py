"""`twinrank backfill`: slices cover every document once, whatever is killed, shared or written meanwhile."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opensearchpy import OpenSearch, helpers

from indexer.migration import begin
from indexer.sync.backfill import Backfill, Slice
from indexer.sync.lease import Leases
from indexer.sync.shard_pass import Run
from indexer.sync.summary import SyncSummary
from indexer.vector_fields import FieldPolicy
from opensearch.changes.checkpoints import Checkpoints
from opensearch.changes.shards import read_primary_shards
from opensearch.client import OpenSearchClient
from opensearch.errors import IndexMissingError
from opensearch.index import metadata
from opensearch.index.metadata import Index
from opensearch.retry import RetryPolicy
from plugin.commands.field_policies import build_field_policies
from reranker.arrays import Floats
from reranker.text import Chunking
from tests.support.index_command import Command
from tests.support.other_bundle import other_bundle
from tests.support.paths import ROOT, TINY_BUNDLE
from tests.support.sync_run import BUNDLE, make_index, synced, tiny_policies, with_vector
from tests.support.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

FIELD = "rerank.vector"


def load(client: OpenSearch, index: str, count: int, first: int = 0) -> None:
    actions = (
        {"_index": index, "_id": str(n), "_source": {"text": f"text {n}"}}
        for n in range(first, first + count)
    )
    helpers.bulk(client, actions, chunk_size=2000)


def make_backfill(
    url: str,
    name: str,
    part: Slice,
    *,
    lease_s: float = 30.0,
    policies: Callable[[Index], Sequence[FieldPolicy]] | None = None,
) -> Backfill:
    run = Run(OpenSearchClient(url), retry_policy=RetryPolicy(total_s=20.0))
    checkpoints = Checkpoints(run.upstream)
    checkpoints.ensure()
    leases = Leases(checkpoints, uuid.uuid4().hex, lease_s, run.retry_policy)
    return Backfill(run, leases, name, part, policies or tiny_policies())


def filled(url: str, name: str, number: int, count: int, **more: Any) -> SyncSummary:  # noqa: ANN401
    """Run one slice and return what was done."""
    backfill = make_backfill(url, name, Slice(number, count), **more)
    backfill.run_slice()
    return backfill.run.summary


@contextmanager
def process(url: str, index: str, part: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(
        [sys.executable, "-m", "plugin", "backfill", index, "--slice", part, *arguments,
         "--upstream", url, "--bundle", str(TINY_BUNDLE), "--threads", "1", "--json"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def report(child: subprocess.Popen[bytes]) -> dict[str, Any]:
    output, errors = child.communicate(timeout=300)
    assert child.returncode == 0, errors
    found: dict[str, Any] = json.loads(output)
    return found


def versions(client: OpenSearch, index: str) -> dict[str, int]:
    client.indices.refresh(index=index)
    hits = helpers.scan(client, index=index, query={"version": True, "_source": False})
    return {hit["_id"]: hit["_version"] for hit in hits}


IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
HISTORIES = st.lists(st.tuples(IDS, st.sampled_from(["write", "write", "delete", "sync"])), max_size=30)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    history=HISTORIES,
    shards=st.integers(1, 3),
    count=st.integers(1, 6),
    order=st.randoms(use_true_random=False),
)
def test_slices_cover_every_document_once(
    opensearch_url: str,
    client: OpenSearch,
    history: list[tuple[str, str]],
    shards: int,
    count: int,
    order: random.Random,
) -> None:
    name = f"test-{uuid.uuid4().hex}"
    make_index(client, name, shards=shards)
    try:
        for document_id, what in history:
            if what == "write":
                client.index(index=name, id=document_id, body={"text": f"text {document_id} {len(history)}"})
            elif what == "delete":
                client.delete(index=name, id=document_id, params={"ignore": 404})
            else:
                synced(opensearch_url, name)
        before, had = versions(client, name), with_vector(client, name)
        numbers = order.sample(range(1, count + 1), count)
        done = [filled(opensearch_url, name, number, count) for number in numbers]
        assert all(one.is_complete for one in done)
        assert [one.slices_done for one in done][-1] == count
        assert sum(one.written for one in done) == len(before) - had
        assert sum(one.conflicts for one in done) == 0
        assert [one.checked for one in done] == [one.documents for one in done]
        assert with_vector(client, name) == len(before)
        written = {key for key, version in versions(client, name).items() if version != before[key]}
        assert len(written) == len(before) - had
        assert all(version <= before[key] + 1 for key, version in versions(client, name).items())
        after = synced(opensearch_url, name)
        assert (after.started_over, after.checked, after.current) == ([], len(written), len(written))
    finally:
        client.indices.delete(index=name)


def test_slices_have_about_as_much_to_encode(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    make_index(client, index_name, shards=1)
    load(client, index_name, 400)
    synced(opensearch_url, index_name)
    client.update_by_query(index=index_name, body={"script": "ctx._source.n = 1"}, refresh=True)
    load(client, index_name, 200, first=400)
    done = [filled(opensearch_url, index_name, number, 4).written for number in (1, 2, 3, 4)]
    assert sum(done) == 200
    assert min(done) > 35


def test_processes_share_an_index_and_sync_goes_on_after_them(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    make_index(client, index_name, shards=2)
    load(client, index_name, 900)
    with (
        process(opensearch_url, index_name, "1/3") as one,
        process(opensearch_url, index_name, "2/3") as two,
        process(opensearch_url, index_name, "3/3") as three,
    ):
        reports = [report(child) for child in (one, two, three)]
    assert sum(found["written"] for found in reports) == 900
    assert [found["conflicts"] for found in reports] == [0, 0, 0]
    assert [found["slice"] for found in reports] == ["1/3", "2/3", "3/3"]
    assert max(found["slices_done"] for found in reports) == 3
    assert set(versions(client, index_name).values()) == {2}
    after = synced(opensearch_url, index_name)
    assert (after.checked, after.current) == (900, 900), "our own writes, once"


def test_a_finished_slice_has_nothing_to_do_until_documents_come(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    make_index(client, index_name, shards=2)
    load(client, index_name, 40)
    first = [filled(opensearch_url, index_name, number, 2) for number in (1, 2)]
    assert sum(one.written for one in first) == 40
    again = filled(opensearch_url, index_name, 1, 2)
    assert (again.checked, again.documents, again.slices_done, again.is_complete) == (0, 0, 2, True)
    load(client, index_name, 40, first=40)
    second = [filled(opensearch_url, index_name, number, 2) for number in (1, 2)]
    assert sum(one.written for one in second) == 40
    assert with_vector(client, index_name) == 80


def test_another_number_of_slices_covers_the_rest(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    make_index(client, index_name, shards=2)
    load(client, index_name, 120)
    half = filled(opensearch_url, index_name, 1, 2)
    assert 0 < half.written < 120
    thirds = [filled(opensearch_url, index_name, number, 3) for number in (1, 2, 3)]
    assert half.written + sum(one.written for one in thirds) == 120
    assert set(versions(client, index_name).values()) == {2}
    assert filled(opensearch_url, index_name, 2, 2).written == 0


def test_a_killed_worker_costs_its_slice_alone(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    make_index(client, index_name, shards=1)
    load(client, index_name, 3000)
    with process(opensearch_url, index_name, "1/2", "--rate", "200") as child:
        until(lambda: with_vector(client, index_name) >= 300)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    before = with_vector(client, index_name)
    assert 300 <= before < 1500
    other = filled(opensearch_url, index_name, 2, 2)
    assert (other.slices_done, other.conflicts) == (1, 0)
    again = filled(opensearch_url, index_name, 1, 2, lease_s=0.5)  # as if the killed one's had expired
    assert again.slices_done == 2
    assert other.written + again.written == 3000 - before
    assert again.documents is not None
    assert again.documents < 1500 - before + 300, "what was done is not read again"
    assert set(versions(client, index_name).values()) == {2}


def test_a_second_worker_of_a_slice_waits_for_the_first(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    make_index(client, index_name, shards=1)
    load(client, index_name, 600)
    with (
        process(opensearch_url, index_name, "1/2", "--rate", "100") as one,
        process(opensearch_url, index_name, "1/2", "--rate", "100") as other,
    ):
        reports = [report(child) for child in (one, other)]
    written = [found["written"] for found in reports]
    assert min(written) == 0
    assert sum(written) == with_vector(client, index_name)
    assert 200 < sum(written) < 400


def test_clients_and_a_sync_write_meanwhile(opensearch_url: str, client: OpenSearch, index_name: str) -> None:
    make_index(client, index_name, shards=2)
    load(client, index_name, 800)
    ended, last = threading.Event(), dict[str, str]()

    def write() -> None:
        chosen = random.Random(3)
        while not ended.is_set():
            document_id, text = str(chosen.randrange(800)), uuid.uuid4().hex
            if chosen.random() < 0.1:
                client.delete(index=index_name, id=document_id, params={"ignore": 404})
                last[document_id] = ""
            else:
                client.index(index=index_name, id=document_id, body={"text": text})
                last[document_id] = text

    writer = threading.Thread(target=write)
    with (
        process(opensearch_url, index_name, "1/2", "--rate", "200") as one,
        process(opensearch_url, index_name, "2/2", "--rate", "200") as two,
    ):
        writer.start()
        try:
            synced(opensearch_url, index_name)
            reports = [report(child) for child in (one, two)]
        finally:
            ended.set()
            writer.join()
    assert [found["rejected"] for found in reports] == [0, 0]
    assert len(last) > 20, "the test needs writes"
    synced(opensearch_url, index_name)
    client.indices.refresh(index=index_name)
    texts = {hit["_id"]: hit["_source"]["text"] for hit in helpers.scan(client, index=index_name)}
    assert {key: texts.get(key, "") for key in last} == last, "no newer write was lost"
    assert with_vector(client, index_name) == len(texts)
    checked = Command(opensearch_url, index_name)("verify", "--json")
    assert json.loads(checked.stdout)[index_name]["current"] == len(texts)


def test_an_index_that_is_deleted_meanwhile_is_not_created_again(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    make_index(client, index_name, shards=1)
    load(client, index_name, 20)
    real = BUNDLE.load_document_encoder(threads=1)

    def encode(texts: Sequence[str], chunking: Chunking) -> Sequence[Floats]:
        client.indices.delete(index=index_name, params={"ignore_unavailable": "true"})
        return real(texts, chunking)

    def policies(index: Index) -> list[FieldPolicy]:
        return build_field_policies(index, BUNDLE, encode)

    with pytest.raises(IndexMissingError, match=index_name):
        filled(opensearch_url, index_name, 1, 2, policies=policies)
    assert not client.indices.exists(index=index_name)


def test_an_index_that_is_made_anew_gets_a_new_plan(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    for _life in range(2):
        make_index(client, index_name, shards=1)
        load(client, index_name, 30)
        done = [filled(opensearch_url, index_name, number, 2) for number in (1, 2)]
        assert sum(one.written for one in done) == 30
        client.indices.delete(index=index_name)


def test_slices_fill_the_second_field_of_a_migration(
    opensearch_url: str, client: OpenSearch, index_name: str, tmp_path: Path
) -> None:
    make_index(client, index_name, shards=1)
    load(client, index_name, 30)
    synced(opensearch_url, index_name)
    other = other_bundle(tmp_path / "other")
    upstream = OpenSearchClient(opensearch_url)
    begin(upstream, metadata.find_write_index(upstream, index_name), other.vectors_of, "second")
    for number in (1, 2):
        done = filled(opensearch_url, index_name, number, 2, policies=tiny_policies(other))
        assert done.written > 0
    assert done.missing == 0
    assert client.count(index=index_name, body={"query": {"exists": {"field": "second"}}})["count"] == 30
    assert with_vector(client, index_name) == 30


def test_blocked_and_closed_indices_end_with_exit_status_1(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    make_index(client, index_name)
    load(client, index_name, 5)
    client.indices.put_settings(index=index_name, body={"index.blocks.write": True})
    blocked = filled(opensearch_url, index_name, 1, 1)
    assert "index.blocks.write" in blocked.blocked[index_name]
    assert not blocked.is_complete
    client.indices.put_settings(index=index_name, body={"index.blocks.write": None})
    client.indices.close(index=index_name)
    assert "closed" in filled(opensearch_url, index_name, 1, 1).blocked[index_name]
    client.indices.open(index=index_name)
    assert filled(opensearch_url, index_name, 1, 1).written == 5


def test_an_index_that_is_missing_or_without_settings(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    command = Command(opensearch_url, index_name)
    missing = command("backfill", "--slice", "1/2")
    client.indices.create(index=index_name)
    without = command("backfill", "--slice", "1/2")
    for done in (missing, without):
        assert done.returncode == 1
        assert b"twinrank enable" in done.stderr
        assert b"Traceback" not in done.stderr


def test_slices_of_a_shard_have_leases_of_their_own(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    make_index(client, index_name, shards=1)
    load(client, index_name, 10)
    assert filled(opensearch_url, index_name, 1, 2).slices_done == 1
    upstream = OpenSearchClient(opensearch_url)
    [shard] = read_primary_shards(upstream, metadata.find_write_index(upstream, index_name))
    checkpoints = Checkpoints(upstream)
    [one, two] = checkpoints.read_slices(shard, FIELD, ["1/2", "2/2"])
    assert one is not None
    assert one.checkpoint.owner is None
    assert two is None
    assert checkpoints.read([shard], FIELD) == [None], "sync has not looked at anything yet"
    filled(opensearch_url, index_name, 2, 2)
    [synced_to] = checkpoints.read([shard], FIELD)
    assert synced_to is not None
    assert synced_to.checkpoint.checkpoint == 9

"""Runs of `twinrank sync` that are killed, shared, followed, or meet an index that is no longer the same."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opensearchpy import OpenSearch, helpers

from indexer.sync.lease import LeaseLostError, Leases, Work
from indexer.sync.runner import SyncScope
from indexer.sync.shard_pass import Run
from opensearch.changes.checkpoints import CHECKPOINTS_INDEX, Checkpoints
from opensearch.changes.shards import read_primary_shards
from opensearch.client import OpenSearchClient
from opensearch.index import metadata
from tests.support.http.raw_http import ask
from tests.support.index_command import Command
from tests.support.paths import ROOT, TINY_BUNDLE
from tests.support.sync_run import make_index, make_sync, synced, with_vector
from tests.support.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

WORK = Work("rerank.vector", "work")


def load(client: OpenSearch, index: str, count: int) -> None:
    actions = ({"_index": index, "_id": str(n), "_source": {"text": f"text {n}"}} for n in range(count))
    helpers.bulk(client, actions, chunk_size=2000)


@contextmanager
def process(url: str, index: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(
        [sys.executable, "-m", "plugin", "sync", index, *arguments,
         "--upstream", url, "--bundle", str(TINY_BUNDLE), "--json"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def test_a_killed_run_goes_on_where_it_was(opensearch_url: str, client: OpenSearch, index_name: str) -> None:
    make_index(client, index_name, shards=1)
    load(client, index_name, 3000)
    with process(opensearch_url, index_name, "--rate", "300") as child:
        until(lambda: with_vector(client, index_name) >= 600)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    before = with_vector(client, index_name)
    assert 600 <= before < 3000
    sync = make_sync(opensearch_url, SyncScope(index_name), lease_s=0.5)  # as if the killed one's had expired
    shards = read_primary_shards(sync.run.upstream, metadata.find_write_index(sync.run.upstream, index_name))
    [noted] = sync.leases.checkpoints.read(shards, WORK.field)
    assert noted is not None
    assert 500 <= noted.checkpoint.checkpoint < before
    sync.run_once()
    assert with_vector(client, index_name) == 3000
    assert sync.run.summary.written == 3000 - before


def test_two_runners_share_the_shards_without_double_work(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    make_index(client, index_name, shards=4)
    load(client, index_name, 1200)
    with process(opensearch_url, index_name) as one, process(opensearch_url, index_name) as other:
        reports = [json.loads(child.communicate(timeout=300)[0]) for child in (one, other)]
    assert sum(report["written"] for report in reports) == 1200
    assert [report["conflicts"] for report in reports] == [0, 0]
    assert with_vector(client, index_name) == 1200


def test_shards_are_partitions_for_tasks(opensearch_url: str, client: OpenSearch, index_name: str) -> None:
    make_index(client, index_name, shards=3)
    load(client, index_name, 300)
    parts = [synced(opensearch_url, index_name, shards=frozenset({number})).written for number in range(3)]
    assert sum(parts) == 300
    assert min(parts) > 0
    command = Command(opensearch_url, index_name)
    assert command("sync", "--shards", "0,2", "--json").returncode == 0
    assert b"expected shard numbers" in command("sync", "--shards", "x").stderr


def test_a_lease_is_nobodys_or_ones_own_or_taken_when_it_expires(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    make_index(client, index_name, shards=1)
    upstream = OpenSearchClient(opensearch_url)
    checkpoints = Checkpoints(upstream)
    checkpoints.ensure()
    [shard] = read_primary_shards(upstream, metadata.find_write_index(upstream, index_name))
    one, other = Leases(checkpoints, "one"), Leases(checkpoints, "other", lease_s=0.2)
    held = one.take(shard, WORK, None)
    assert held is not None
    assert other.take(shard, WORK, None) is None, "two began at once"
    [found] = checkpoints.read([shard], WORK.field)
    assert found is not None
    assert other.take(shard, WORK, found) is None
    time.sleep(0.4)
    taken = other.take(shard, WORK, found)  # not renewed while we looked, whatever its clock says
    assert taken is not None
    with pytest.raises(LeaseLostError, match="another runner"):
        held.advance(5)
    taken.advance(7)
    taken.release()
    [found] = checkpoints.read([shard], WORK.field)
    again = one.take(shard, WORK, found)
    assert again is not None
    assert again.checkpoint == 7
    again.release()
    [found] = checkpoints.read([shard], WORK.field)
    anew = one.take(shard, Work("rerank.vector", "other work"), found)
    assert anew is not None
    assert anew.checkpoint == -1


def test_an_index_made_anew_is_looked_at_from_the_beginning(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    for life in range(2):
        make_index(client, index_name, shards=1)
        load(client, index_name, 20)
        done = synced(opensearch_url, index_name)
        assert done.written == 20
        assert done.started_over == [f"{index_name}/0"] * life
        client.indices.delete(index=index_name)


def test_changed_settings_and_from_scratch_begin_anew(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    make_index(client, index_name, shards=1)
    load(client, index_name, 20)
    synced(opensearch_url, index_name)
    synced(opensearch_url, index_name)
    assert synced(opensearch_url, index_name).checked == 0
    scratch = synced(opensearch_url, index_name, from_scratch=True)
    assert (scratch.checked, scratch.current, scratch.started_over) == (20, 20, [])
    Command(opensearch_url, index_name)("enable", "--field", "other")
    changed = synced(opensearch_url, index_name)
    assert (changed.checked, changed.written) == (20, 20)
    assert with_vector(client, index_name) == 0


def test_follow_repairs_what_comes_and_ends_when_asked(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    make_index(client, index_name)
    with process(opensearch_url, index_name, "--follow") as child:
        for round_ in range(2):
            load(client, index_name, 10 * (round_ + 1))
            until(lambda expected=10 * (round_ + 1): with_vector(client, index_name) == expected)  # type: ignore[misc]
        child.send_signal(signal.SIGTERM)
        output, _ = child.communicate(timeout=120)
        assert child.returncode == 0
    assert json.loads(output.splitlines()[-1])["lag_operations"] == 0
    client.indices.refresh(index=CHECKPOINTS_INDEX)
    mine = client.search(index=CHECKPOINTS_INDEX, body={"query": {"term": {"index": index_name}}})["hits"][
        "hits"
    ]
    assert [hit["_source"]["owner"] for hit in mine] == [None, None]


def test_lag_is_told_while_somebody_else_has_the_shard(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    make_index(client, index_name, shards=1)
    load(client, index_name, 5)
    upstream = OpenSearchClient(opensearch_url)
    [shard] = read_primary_shards(upstream, metadata.find_write_index(upstream, index_name))
    run = Run(upstream, stop=threading.Event())
    sync = make_sync(opensearch_url, SyncScope(index_name), run=run)
    assert Leases(sync.leases.checkpoints, "another").take(shard, WORK, None) is not None
    sync._resolve()
    assert not sync._round({})
    assert run.summary.lag is not None
    assert run.summary.lag.operations == 5
    assert run.summary.lag.seconds > 0


class _NoRefresh(BaseHTTPRequestHandler):
    """Passes requests on to OpenSearch, but allows no refresh, as a user without that right would see it."""

    upstream = ""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.endswith("/_refresh"):
            status, content = 403, b'{"error": {"type": "security_exception", "reason": "no permissions"}}'
        else:
            headers = {"Content-Type": self.headers.get("Content-Type") or "application/json"}
            answer = ask(self.upstream, self.command, self.path, body, headers)
            status, content = answer.status, answer.body
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_HEAD = _answer  # noqa: N815  # the names that http.server looks for

    def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401  # http.server's signature
        pass


@pytest.fixture
def no_refresh_url(opensearch_url: str) -> Iterator[str]:
    _NoRefresh.upstream = opensearch_url
    server = ThreadingHTTPServer(("127.0.0.1", 0), _NoRefresh)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_without_the_right_to_refresh_the_indexs_own_is_waited_for(
    no_refresh_url: str, client: OpenSearch, index_name: str
) -> None:
    make_index(client, index_name, shards=1, refresh="200ms")
    load(client, index_name, 10)
    assert synced(no_refresh_url, index_name).written == 10
    client.indices.put_settings(index=index_name, body={"index.refresh_interval": "-1"})
    load(client, index_name, 10)
    done = Command(no_refresh_url, index_name)("sync")
    assert done.returncode == 1
    assert b"Grant the right" in done.stderr
    assert b"Traceback" not in done.stderr


def test_an_index_that_is_missing_or_of_another_model(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    command = Command(opensearch_url, index_name)
    missing = command("sync")
    make_index(client, index_name, model="another")
    other = command("sync")
    for done, reason in ((missing, b"twinrank enable"), (other, b"expected the bundle another")):
        assert done.returncode == 1
        assert reason in done.stderr
        assert b"Traceback" not in done.stderr

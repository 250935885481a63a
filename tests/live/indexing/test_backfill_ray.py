"""`twinrank backfill --ray` on a Ray cluster of this machine: actors and the driver may die."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from opensearchpy import OpenSearch, helpers

from tests.support.index_command import Command
from tests.support.paths import ROOT, TINY_BUNDLE
from tests.support.ray_cluster import find_actors, ray_cluster
from tests.support.sync_run import make_index, synced, with_vector
from tests.support.waiting import until

pytest.importorskip("ray", reason="the extra ray is not installed")
pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Yield the address of a cluster of two cores, which ends with the module."""
    with ray_cluster() as address:
        yield address


@contextmanager
def driver(cluster: str, url: str, index: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(
        [sys.executable, "-m", "plugin", "backfill", index, "--ray", cluster, *arguments,
         "--upstream", url, "--bundle", str(TINY_BUNDLE), "--json"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def load(client: OpenSearch, index: str, count: int) -> None:
    actions = ({"_index": index, "_id": str(n), "_source": {"text": f"text {n}"}} for n in range(count))
    helpers.bulk(client, actions, chunk_size=2000)


class Writer(threading.Thread):
    """A client that writes new texts until it is asked to end; `last` has the newest of each document."""

    def __init__(self, client: OpenSearch, index: str, num_documents: int) -> None:
        super().__init__()
        self._client, self._index, self._num_documents = client, index, num_documents
        self._ended = threading.Event()
        self.last = dict[str, str]()

    def run(self) -> None:
        chosen = random.Random(5)
        while not self._ended.wait(0.05):
            document_id, text = str(chosen.randrange(self._num_documents)), uuid.uuid4().hex
            self._client.index(index=self._index, id=document_id, body={"text": text})
            self.last[document_id] = text

    def __enter__(self) -> "Writer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()


def kill_actors(count: int) -> None:
    """Kill an actor with -9, so often, each time when two are at work."""
    for _ in range(count):
        until(lambda: len(find_actors()) == 2, "two actors at work", find_actors, within_s=180)
        os.kill(find_actors()[0], signal.SIGKILL)
        time.sleep(1)


def test_actors_and_the_driver_are_killed_while_a_client_writes(
    cluster: str, opensearch_url: str, client: OpenSearch, index_name: str, is_long: bool
) -> None:
    """Every document is current afterwards; none was written twice, or over a newer one."""
    count = 100_000 if is_long else 2400
    make_index(client, index_name, shards=2)
    load(client, index_name, count)
    slices = ("--slices", "16" if is_long else "6")
    with Writer(client, index_name, count // 20) as writer:
        with driver(cluster, opensearch_url, index_name, *slices, "--rate", str(count // 40)) as child:
            until(lambda: with_vector(client, index_name) >= count // 24, within_s=300)
            kill_actors(2)
            until(lambda: with_vector(client, index_name) >= count // 4, within_s=300)
            child.send_signal(signal.SIGKILL)
            child.wait()
        until(lambda: not find_actors(), "no actor", find_actors, within_s=60)
        before = with_vector(client, index_name)
        assert before < count, "the driver was killed before the end"
        with driver(cluster, opensearch_url, index_name, *slices) as child:
            output, errors = child.communicate(timeout=900)
            assert child.returncode == 0, errors
    report = json.loads(output)
    assert (report["slices_done"], report["rejected"]) == (int(slices[1]), 0)
    assert len(writer.last) > 20, "the test needs writes"
    client.indices.refresh(index=index_name)
    hits = list(helpers.scan(client, index=index_name, query={"version": True, "_source": ["text"]}))
    assert {hit["_version"] for hit in hits if hit["_id"] not in writer.last} == {2}, "written twice"
    texts = {hit["_id"]: hit["_source"]["text"] for hit in hits}
    assert {key: texts[key] for key in writer.last} == writer.last, "a newer one was written over"
    rest = synced(opensearch_url, index_name)
    assert rest.written <= len(writer.last), "only what clients wrote meanwhile was left"
    checked = Command(opensearch_url, index_name, timeout_s=900)("verify", "--json")
    assert json.loads(checked.stdout)[index_name]["current"] == count


def test_what_fails_on_an_actor_is_told(cluster: str, opensearch_url: str, index_name: str) -> None:
    with driver(cluster, opensearch_url, index_name, "--slices", "2") as child:
        _, errors = child.communicate(timeout=120)
    assert child.returncode == 1
    assert b"twinrank enable" in errors + _
    assert b"Traceback" not in errors


def test_a_server_that_is_no_ray_is_told_soon(opensearch_url: str, index_name: str) -> None:
    started = time.monotonic()
    address = opensearch_url.removeprefix("http://").rstrip("/")
    with driver(address, opensearch_url, index_name) as child:
        _, errors = child.communicate(timeout=120)
    assert child.returncode == 1
    assert b"found another server" in errors
    assert b"Traceback" not in errors
    assert time.monotonic() - started < 30

"""`twinrank backfill --ray` on a Ray cluster of this machine: actors and the driver may die."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from opensearchpy import OpenSearch, helpers

from plugin.harness.proxy_process import free_port
from tests.support.paths import ROOT, TINY_BUNDLE
from tests.support.sync_run import make_index, synced, with_vector
from tests.support.waiting import until

pytest.importorskip("ray", reason="the extra ray is not installed")
pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Yield the address of a cluster of two cores, which ends with the module."""
    port, folder = free_port(), Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # short: sockets
    head = subprocess.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block",
         "--port", str(port), "--node-ip-address", "127.0.0.1", "--num-cpus", "2",
         "--object-store-memory", str(100 * 1024**2), "--include-dashboard", "false",
         "--disable-usage-stats", "--temp-dir", str(folder)],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        until(lambda: any(folder.rglob("sockets/raylet*")), within_s=120)
        yield f"127.0.0.1:{port}"
    finally:
        head.terminate()
        with suppress(subprocess.TimeoutExpired):
            head.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(head.pid, signal.SIGKILL)
        head.wait()
        shutil.rmtree(folder, ignore_errors=True)


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


def actors() -> list[int]:
    """Return the processes that run slices now."""
    found = list[int]()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b"ray::SliceWorker.run_slice" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


def load(client: OpenSearch, index: str, count: int) -> None:
    actions = ({"_index": index, "_id": str(n), "_source": {"text": f"text {n}"}} for n in range(count))
    helpers.bulk(client, actions, chunk_size=2000)


def test_actors_and_the_driver_are_killed(
    cluster: str, opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    make_index(client, index_name, shards=2)
    load(client, index_name, 2400)
    options = ("--slices", "6", "--rate", "60")
    with driver(cluster, opensearch_url, index_name, *options) as child:
        until(lambda: with_vector(client, index_name) >= 100, within_s=180)
        for _ in range(2):
            until(lambda: len(actors()) == 2, within_s=120)
            os.kill(actors()[0], signal.SIGKILL)
            time.sleep(1)
        until(lambda: with_vector(client, index_name) >= 600, within_s=180)
        child.send_signal(signal.SIGKILL)
        child.wait()
    until(lambda: not actors(), within_s=60)
    before = with_vector(client, index_name)
    assert before < 2400
    with driver(cluster, opensearch_url, index_name, "--slices", "6") as child:
        output, errors = child.communicate(timeout=300)
        assert child.returncode == 0, errors
    report = json.loads(output)
    assert (report["slices_done"], report["conflicts"], report["rejected"]) == (6, 0, 0)
    assert report["written"] == 2400 - before
    client.indices.refresh(index=index_name)
    hits = helpers.scan(client, index=index_name, query={"version": True, "_source": False})
    assert {hit["_version"] for hit in hits} == {2}, "no document was written twice"
    assert synced(opensearch_url, index_name).current == 2400


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

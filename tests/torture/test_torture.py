"""After everything that can happen: no stale vector, nothing lost, nothing altered.

Writers work straight at a cluster of three nodes and through a proxy, while syncs are killed with -9 and
started again and a node is killed and comes back. A minute; ten with `--long`.
"""

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from opensearchpy import OpenSearch, helpers

from indexer.audit import Audit, Worth, judge_vector
from opensearch.changes import snapshot
from opensearch.client import OpenSearchClient
from opensearch.index import metadata
from plugin.harness.proxy_process import running_proxy
from tests.support.cluster import Cluster
from tests.support.indices.toy_index import index_body
from tests.support.paths import ROOT, TINY_BUNDLE
from tests.support.sync_run import BUNDLE, synced
from tests.torture.sources import bare, words
from tests.torture.writers import Reindexer, Searcher, ThroughProxy, VersionedWriter, Writer

pytestmark = pytest.mark.live

FREE, VERSIONED = "torture", "torture-versioned"


@contextmanager
def connected(url: str) -> Iterator[OpenSearch]:
    with OpenSearch(url, timeout=120, max_retries=0) as client:
        yield client


def make(client: OpenSearch, name: str, **settings: object) -> None:
    body = index_body(BUNDLE, **settings)
    body["settings"] |= {"number_of_shards": 3, "number_of_replicas": 1, "refresh_interval": "-1"}
    body["mappings"]["properties"]["writer"] = {"type": "integer"}
    client.indices.create(index=name, body=body)


def follow(url: str, log: Path) -> "subprocess.Popen[bytes]":
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "plugin", "sync", f"{FREE},{VERSIONED}", "--follow", "--json",
             "--threads", "1", "--upstream", url, "--bundle", str(TINY_BUNDLE)],
            cwd=ROOT, stdout=output, stderr=output,
        )  # fmt: skip


@contextmanager
def killed_syncs(urls: list[str], log: Path) -> Iterator[list[int]]:
    """Run two syncs that are killed at random and replaced; yield how often so far."""
    kills = [0]
    done = threading.Event()

    def work(url: str) -> None:
        chosen = random.Random(url)
        while not done.is_set():
            child = follow(url, log)
            done.wait(chosen.uniform(4.0, 9.0))
            kills[0] += 1
            child.send_signal(signal.SIGKILL)
            child.wait()

    threads = [threading.Thread(target=work, args=(url,)) for url in urls]
    for thread in threads:
        thread.start()
    try:
        yield kills
    finally:
        done.set()
        for thread in threads:
            thread.join()


def run_for(seconds: float, writers: list[Writer], cluster: Cluster, log: Path) -> int:
    """Let the writers work; kill the last node after a third of the time and start it after two."""
    stop = threading.Event()
    threads = [threading.Thread(target=writer.run, args=(stop,)) for writer in writers]
    with killed_syncs(cluster.urls[:2], log) as kills:
        for thread in threads:
            thread.start()
        try:
            time.sleep(seconds / 3)
            cluster.kill(2)
            time.sleep(seconds / 3)
            cluster.start()
            time.sleep(seconds / 3)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    return kills[0]


def audit(url: str, index: str) -> Audit:
    upstream = OpenSearchClient(url)
    written = metadata.find_write_index(upstream, index)
    settings = written.rerank_settings()
    result = Audit()
    for stored in snapshot.read_documents(upstream, written, settings.field, settings.source_fields):
        result.add(stored.id, judge_vector(stored, settings, BUNDLE.model_tag))
    return result


def test_nothing_is_stale_lost_or_altered(cluster: Cluster, is_long: bool, tmp_path: Path) -> None:
    log = tmp_path / "syncs.log"
    with ExitStack() as stack:
        straight, other = (stack.enter_context(connected(url)) for url in cluster.urls[:2])
        for name, settings in ((FREE, {"verify_at_search": True}), (VERSIONED, {"versioning": "external"})):
            make(straight, name, **settings)
        straight.indices.create(index="source")
        proxy = stack.enter_context(running_proxy(cluster.urls[0], tmp_path, bundle=TINY_BUNDLE))
        through = stack.enter_context(connected(proxy.url))
        free: list[Writer] = [Writer(client, FREE, n, words()) for n, client in enumerate((straight, other))]
        free.append(ThroughProxy(through, FREE, 2, words(), looks_at=straight))
        free.append(Reindexer(other, FREE, 3, words(), "source"))
        versioned: list[Writer] = [VersionedWriter(straight, VERSIONED, 4, words())]
        searcher = Searcher(through, FREE, 5, words())
        everybody = [*free, *versioned, searcher]
        kills = run_for(600.0 if is_long else 24.0, everybody, cluster, log)
        assert [each.failures for each in everybody] == [[]] * 6
        assert searcher.scored
        straight.cluster.health(wait_for_status="green", timeout="120s", request_timeout=130)
        for name, writers in ((FREE, free), (VERSIONED, versioned)):
            synced(cluster.urls[0], name)
            straight.indices.refresh(index=name)
            hits = helpers.scan(straight, index=name)
            found = {hit["_id"]: bare(hit["_source"]) for hit in hits}
            assert found == {key: source for writer in writers for key, source in writer.model.items()}
            result = audit(cluster.urls[0], name)
            assert result.documents == len(found)
            assert {w.value: n for w, n in result.counts.items() if n and w not in _FINE} == {}, (
                result.samples
            )
    seen = f"{searcher.scored} hits ranked by their vectors, {searcher.stale} stale ones seen and not used"
    print(f"{sum(w.operations for w in everybody)} operations, {kills} syncs killed, {seen}")  # noqa: T201
    assert kills >= 4
    assert b"Traceback" not in log.read_bytes(), log.read_text()


_FINE = (Worth.CURRENT, Worth.WITHOUT_TEXT)

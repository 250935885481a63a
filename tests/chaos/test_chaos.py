"""Never worse than OpenSearch: searches and writes while everything around them fails in turn.

What must hold: a search fails only where OpenSearch alone would have failed (the client's own bytes met a
fault, or a refusal with 429 was passed on); every page is one of two, by what its header says; no write that
was answered is lost or altered; the counters agree with the headers. A killed or starved process breaks the
connections that it has; a search that is sent again is answered.

Some hundred searches; with `--long`, or `make chaos`, 20,000 searches and 5,000 writes.
"""

import random
import re
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from opensearchpy import OpenSearch, helpers

from indexer.audit import Worth, judge_vector
from opensearch.changes.snapshot import SnapshotDocument
from opensearch.fields import stored_vectors
from tests.chaos import proxy, upstream
from tests.chaos.clients import Searcher, Writer
from tests.chaos.running import Running, is_healthy, spoiled_proxy, wait
from tests.chaos.searched_index import SEARCHED, WRITTEN, make_indices, make_queries
from tests.chaos.upstream import FaultyUpstream, faulty_upstream
from tests.support.http import raw_http
from tests.support.indices.toy_index import known_words
from tests.support.paths import TINY_BUNDLE
from tests.support.sync_run import BUNDLE
from tests.torture.sources import Source, bare
from tests.torture.writers import SETTINGS

pytestmark = pytest.mark.live

CLIENTS = 6
SEARCHES_A_WRITE = 4
OF_THE_SETTINGS = ("settings_broken", "settings_gone")
OF_THE_PROCESS = ("worker_killed", "memory_short", "descriptors_short")
"""Faults that may break connections of the proxy's own."""

RECOVERED_S = 60.0
"""So long after a fault every client must get reranked pages again."""

KINDS = (*upstream.FAULTS, *proxy.FAULTS, *OF_THE_SETTINGS, "worker_killed")


def counted(url: str) -> Counter[str]:
    """Return the searches that the proxy's counters tell, in the words of the header."""
    text = raw_http.ask(url, "GET", "/_plugins/_rerank/metrics").body.decode()
    found: Counter[str] = Counter()
    for outcome, reason, value in re.findall(
        r'^twinrank_searches_total\{outcome="(\w+)",reason="([^"]*)"\} (\S+)', text, re.MULTILINE
    ):
        found[f"{outcome}; reason={reason}" if reason else outcome] += int(float(value))
    return found


@contextmanager
def spoiling(kind: str, running: Running, faulty: FaultyUpstream, client: OpenSearch) -> Iterator[None]:
    """Let one kind of fault happen for as long as the block lasts."""
    mapping = client.indices.get_mapping(index=SEARCHED)[SEARCHED]["mappings"]["_meta"]
    if kind in upstream.FAULTS:
        faulty.kind = kind
    elif kind in proxy.FAULTS:
        running.switch.write_text(kind)
    elif kind in OF_THE_SETTINGS:
        broken = {"rerank": {**mapping["rerank"], "window_size": "wide"}} if kind == "settings_broken" else {}
        client.indices.put_mapping(index=SEARCHED, body={"_meta": broken})
    else:
        pid = random.choice(running.worker_pids())
        subprocess.run(["kill", "-9", str(pid)], check=True)
        running.num_killed += 1
    try:
        yield
    finally:
        faulty.kind = ""
        running.switch.write_text("")
        client.indices.put_mapping(index=SEARCHED, body={"_meta": mapping})


def run_together(searchers: list[Searcher], writers: list[Writer], num_writes: int) -> None:
    """Let each client do so many writes, with searches between them."""

    def work(searcher: Searcher, writer: Writer) -> None:
        for _ in range(num_writes):
            for _ in range(SEARCHES_A_WRITE):
                searcher.search()
            writer.write()

    threads = [threading.Thread(target=work, args=pair) for pair in zip(searchers, writers, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def assert_written(client: OpenSearch, writers: list[Writer]) -> None:
    """Nothing is lost or altered, and no vector is of another text."""
    client.indices.refresh(index=WRITTEN)
    found = {hit["_id"]: hit["_source"] for hit in helpers.scan(client, index=WRITTEN)}
    expected = {key: source for writer in writers for key, source in writer.model.items()}
    assert {key: bare(source) for key, source in found.items()} == expected
    worth = Counter(_worth(key, source) for key, source in found.items())
    assert not set(worth) - {Worth.CURRENT, Worth.ABSENT, Worth.WITHOUT_TEXT}, worth
    assert worth[Worth.CURRENT]


def _worth(document_id: str, source: Source) -> Worth:
    value = stored_vectors.find_value(source, "rerank.vector")
    stored = SnapshotDocument(document_id, source, [] if value is None else [value])
    return judge_vector(stored, SETTINGS, BUNDLE.model_tag)


def assert_counted(
    before: Counter[str], after: Counter[str], searchers: list[Searcher], num_killed: int
) -> None:
    """Each header was counted; more only for answers that broke, fewer only for those of killed workers."""
    told = sum((searcher.statuses for searcher in searchers), Counter[str]())
    told.pop("", None)
    broken = sum(searcher.num_broken for searcher in searchers)
    more, fewer = (after - before) - told, told - (after - before)
    assert sum(more.values()) <= broken, (more, told, broken)
    assert sum(fewer.values()) <= num_killed * CLIENTS, (fewer, told)


def test_never_worse_than_opensearch(
    client: OpenSearch, opensearch_url: str, is_long: bool, core_option: str, tmp_path: Path
) -> None:
    words = known_words(TINY_BUNDLE)
    make_indices(client, BUNDLE, words)
    rounds = 4 if is_long else 1
    with ExitStack() as stack:
        faulty = stack.enter_context(faulty_upstream(opensearch_url))
        running = stack.enter_context(spoiled_proxy(faulty.url, tmp_path, tmp_path, core_option))
        queries = make_queries(client, running.url, words)
        before = counted(running.url)
        searchers = [Searcher(running.url, SEARCHED, queries, faulty, n) for n in range(CLIENTS)]
        writers = [Writer(running.url, WRITTEN, n, words) for n in range(CLIENTS)]
        for each in searchers:
            stack.enter_context(closing(each))
        for other in writers:
            stack.enter_context(closing(other))
        num_writes = -(-5_000 // (rounds * len(KINDS) * CLIENTS)) if is_long else 1
        for _ in range(rounds):
            for kind in KINDS:
                for searcher in searchers:
                    searcher.breaks_allowed = kind in OF_THE_PROCESS
                with spoiling(kind, running, faulty, client):
                    run_together(searchers, writers, num_writes)
                for searcher in searchers:  # the breaker rests after a fault, and would hide the next one
                    searcher.search_until_applied(RECOVERED_S)
        wait(lambda: is_healthy(running.url), 60.0, running.log)
        after = counted(running.url)
    wrong = [each for searcher in searchers for each in searcher.wrong]
    wrong += [each for writer in writers for each in writer.wrong]
    print(summary(searchers, writers, faulty, running))  # noqa: T201
    assert not wrong, "\n".join(wrong[:20])
    assert not is_long or sum(writer.num_writes for writer in writers) >= 5_000
    assert_counted(before, after, searchers, running.num_killed)
    assert_written(client, writers)


def summary(
    searchers: list[Searcher], writers: list[Writer], faulty: FaultyUpstream, running: Running
) -> str:
    """Return the figures for people."""
    statuses = sum((searcher.statuses for searcher in searchers), Counter[str]())
    return (
        f"{sum(s.num_searches for s in searchers)} searches: {dict(statuses)}; "
        f"{sum(s.num_failed for s in searchers)} failed as OpenSearch alone would have, "
        f"{sum(s.num_broken for s in searchers)} connections broke; "
        f"{sum(w.num_writes for w in writers)} writes, {sum(w.num_repeated for w in writers)} tries more; "
        f"injected upstream: {dict(faulty.faults)}; workers killed: {running.num_killed}"
    )

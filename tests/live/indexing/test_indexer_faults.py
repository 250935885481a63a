"""An indexing run whose connection is lost in the middle, or whose lines are too long."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from indexer.enricher import Enricher
from indexer.load.indexing import Events, Indexing
from indexer.load.lines import read_lines
from indexer.load.summary import Rejection, Summary
from opensearch.client import OpenSearchClient
from opensearch.index import metadata
from opensearch.retry import RetryPolicy
from reranker.bundle import Bundle
from tests.support.http.relay import Relay
from tests.support.index_command import Command, numbered
from tests.support.paths import TINY_BUNDLE

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]


@pytest.fixture
def command(opensearch_url: str, index_name: str) -> Command:
    return Command(opensearch_url, index_name).enabled()


@pytest.fixture
def relay(opensearch_url: str) -> Iterator[Relay]:
    made = Relay(opensearch_url)
    yield made
    made.cut()


def indexing(url: str, index: str, events: Events, total_s: float) -> Indexing:
    upstream = OpenSearchClient(url)
    bundle = Bundle.open(TINY_BUNDLE)
    settings = metadata.find_write_index(upstream, index).rerank_settings()
    enricher = Enricher(bundle.load_document_encoder(threads=1), bundle.model_tag, settings)
    return Indexing(upstream, index, enricher, events, RetryPolicy(0.05, 0.3, total_s))


def run_through(relay: Relay, index: str, tmp_path: Path, *, mend: bool, total_s: float) -> Summary:
    """Index 2,000 documents and cut the wire after the first batch; mend it after a second or never."""
    file = tmp_path / "documents.jsonl"
    file.write_bytes(numbered(2000))
    timers: list[threading.Timer] = []

    def cut(summary: Summary) -> None:
        if not timers:
            relay.cut()
            timers.append(threading.Timer(1.0, relay.mend if mend else lambda: None))
            timers[0].start()

    with file.open("rb") as stream:
        summary = indexing(relay.url, index, Events(progress=cut), total_s).run(read_lines(stream))
    timers[0].join()
    return summary


def test_a_connection_lost_in_the_middle_loses_nothing(
    command: Command, client: OpenSearch, relay: Relay, tmp_path: Path
) -> None:
    summary = run_through(relay, command.index, tmp_path, mend=True, total_s=60)
    assert summary.is_complete
    assert summary.indexed == 2000
    assert client.count(index=command.index)["count"] == 2000


def test_a_connection_lost_for_good_says_what_was_done(
    command: Command, client: OpenSearch, relay: Relay, tmp_path: Path
) -> None:
    summary = run_through(relay, command.index, tmp_path, mend=False, total_s=0.5)
    assert not summary.is_complete
    assert "cannot be reached" in str(summary.stopped)
    assert "run the same command again" in summary.in_words()
    client.indices.refresh(index=command.index)
    assert 256 <= summary.indexed <= client.count(index=command.index)["count"] < 2000


def test_rejections_come_with_their_bytes(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "documents.jsonl"
    file.write_bytes(b'{"_id": "1", "title": "a"}\n' + b"x" * 100 + b'\n{"_id": "2", "title": "b"}\n')
    rejections: list[Rejection] = []
    run = indexing(command.url, command.index, Events(rejected=rejections.append), 60)
    with file.open("rb") as stream:
        summary = run.run(read_lines(stream, max_bytes=50))
    assert summary.indexed == 2
    assert rejections == [Rejection(2, "expected at most 50 bytes in a line, found more", b"x" * 50)]

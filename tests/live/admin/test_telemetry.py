"""What the proxy tells of itself: counters of all workers, one log line a search, a dashboard that fits."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from indexer.sync.summary import Lag, SyncSummary
from plugin.harness.proxy_process import ProxyProcess, running_proxy
from plugin.telemetry.metrics import MAX_REASONS, Metrics
from plugin.telemetry.outcome import MultiSearchOutcome, SearchOutcome
from plugin.telemetry.sync_metrics import SyncMetrics
from tests.support.http.raw_http import ask, search
from tests.support.indices.toy_index import WINDOW, ToyIndex
from tests.support.metrics_text import METRICS, numbers
from tests.support.paths import DOCS, ROOT, TINY_BUNDLE
from tests.support.waiting import until

pytestmark = pytest.mark.opensearch_2_19

MONITORING = ROOT / "plugin" / "monitoring"


def all_names() -> set[str]:
    """Return every metric's name as the documentation has it: histograms without their suffixes."""
    found = set()
    for registry in (Metrics()._registry, SyncMetrics("index").registry):
        for family in registry.collect():
            found.add(f"{family.name}_total" if family.type == "counter" else family.name)
    return found


def test_every_metric_is_documented() -> None:
    document = (DOCS / "reference/metrics.md").read_text()
    assert set(re.findall(r"`(twinrank_\w+)`", document)) == all_names()


def test_reasons_that_clients_make_up_are_bounded() -> None:
    metrics = Metrics()
    for number in range(2 * MAX_REASONS):
        metrics.record_search(SearchOutcome.skipped(f"key{number}"))
    found = numbers(metrics.exposition()[0].decode())
    assert found['twinrank_searches_total{outcome="skipped",reason="other"}'] == MAX_REASONS


def test_items_are_counted_each() -> None:
    applied, sorted_, refused = (
        SearchOutcome("applied"),
        SearchOutcome.skipped("sort"),
        SearchOutcome.refused(),
    )
    outcome = MultiSearchOutcome((applied, applied, sorted_, refused, sorted_), ("books",) * 5, {})
    assert outcome.result == "applied"
    assert outcome.counts() == {("applied", ""): 2, ("skipped", "sort"): 2, ("refused", "ext"): 1}
    metrics = Metrics()
    metrics.record_search(outcome)
    found = numbers(metrics.exposition()[0].decode())
    assert found['twinrank_searches_total{outcome="applied",reason=""}'] == 2
    assert found['twinrank_searches_total{outcome="skipped",reason="sort"}'] == 2
    assert found['twinrank_searches_total{outcome="refused",reason="ext"}'] == 1
    assert MultiSearchOutcome((refused,), ("books",), {}).result == "refused"


def test_searches_and_hits_are_counted() -> None:
    metrics = Metrics()
    for outcome in (
        SearchOutcome("applied", window=100, scored=97, stages_ms={"plan": 1.0, "total": 20.0}),
        SearchOutcome.skipped("sort", {"total": 2.0}),
    ):
        metrics.record_search(outcome)
    metrics.record_status(200)
    found = numbers(metrics.exposition()[0].decode())
    assert found['twinrank_searches_total{outcome="applied",reason=""}'] == 1
    assert found['twinrank_searches_total{outcome="skipped",reason="sort"}'] == 1
    assert found['twinrank_hits_total{vector="usable"}'] == 97
    assert found['twinrank_hits_total{vector="missing"}'] == 3
    assert found['twinrank_search_seconds_sum{outcome="applied"}'] == pytest.approx(0.02)
    assert found['twinrank_requests_total{status="2xx"}'] == 1


@pytest.mark.parametrize("file", ["grafana.json", "alerts.json"])
def test_dashboard_and_alerts_name_only_what_is_counted(file: str) -> None:
    metrics = Metrics()
    outcome = SearchOutcome("applied", window=2, scored=1, stages_ms={"plan": 1.0, "total": 1.0})
    metrics.record_search(outcome)
    metrics.record_status(200)
    metrics.indices.record_search("index", "applied")
    metrics.record_bundle("bundle", "digest")
    metrics.writes.record_documents("bulk", {"documents": 1})
    metrics.settings.record_poll({"index": "why"})
    counted = {name.partition("{")[0] for name in numbers(metrics.exposition()[0].decode())}
    sync = SyncMetrics("index")
    sync.record(SyncSummary(lag=Lag(), missing=0))
    synced = generate_latest(sync.registry).decode()
    counted |= {name.partition("{")[0] for name in numbers(synced)}
    written = (MONITORING / file).read_text()
    json.loads(written)
    named = set(re.findall(r"twinrank_\w+", written))
    assert named
    assert named <= counted


@pytest.fixture
def proxy(opensearch_url: str, tmp_path: Path) -> Iterator[ProxyProcess]:
    with running_proxy(opensearch_url, tmp_path, bundle=TINY_BUNDLE) as running:
        yield running


@pytest.mark.live
def test_the_numbers_of_all_workers_are_what_clients_were_told(
    proxy: ProxyProcess, toy_index: ToyIndex, tmp_path: Path
) -> None:
    """Each search has a connection of its own, so that both workers answer some."""
    bodies = [{"query": toy_index.query}, {"query": toy_index.query, "sort": ["n"]}]
    told = [search(proxy.url, toy_index.name, body).rerank_status for body in bodies * 10]
    exposition = ask(proxy.url, "GET", METRICS)
    found = numbers(exposition.body.decode())
    assert exposition.headers["content-type"].startswith("text/plain")
    assert found['twinrank_searches_total{outcome="applied",reason=""}'] == 10
    assert found['twinrank_searches_total{outcome="skipped",reason="sort"}'] == 10
    assert found['twinrank_hits_total{vector="usable"}'] == 10 * WINDOW
    assert sum(status.startswith("applied") for status in told) == 10
    until(lambda: len(_searches_in(tmp_path)) >= len(told), "a line of each search")
    lines = _searches_in(tmp_path)
    assert [line["outcome"] for line in lines].count("applied") == 10
    assert {line["path"] for line in lines} == {f"/{toy_index.name}/_search"}
    assert toy_index.query_text not in (tmp_path / "proxy.log").read_text()


def _searches_in(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of searches in a log, whose last line may be half written."""
    log = (folder / "proxy.log").read_text().splitlines(keepends=True)
    return [json.loads(line) for line in log if line.startswith('{"event"') and line.endswith("\n")]

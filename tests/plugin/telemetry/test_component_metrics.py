"""What single parts count: cache and queue, breakers, writes, settings, sync."""

import json
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from opensearchpy import OpenSearch

from indexer.sync.summary import Lag, SyncSummary
from plugin.encoding.admission import QUEUES
from plugin.encoding.query_encoder import CachedQueryEncoder
from plugin.encoding.query_future import await_vector
from plugin.errors import CommandError
from plugin.harness.proxy_process import free_port, running_proxy
from plugin.http.listen_address import ListenAddress
from plugin.search.breaker import MAX_FAILURES, UpstreamBreaker
from plugin.telemetry.component_metrics import MAX_INDICES
from plugin.telemetry.metrics import Metrics
from plugin.telemetry.sync_metrics import SyncMetrics
from plugin.telemetry.write_counts import EnrichCounts, WriteCounts
from plugin.upstream.client import Upstream
from tests.support.http.raw_http import ask, search
from tests.support.http.relay import Relay
from tests.support.metrics_text import METRICS, numbers
from tests.support.paths import TINY_BUNDLE
from tests.support.sync_run import make_index, with_vector
from tests.support.waiting import until


def found(metrics: Metrics) -> dict[str, float]:
    return numbers(metrics.exposition()[0].decode())


def test_cache_and_queue_are_counted() -> None:
    metrics, may_encode = Metrics(), threading.Event()

    def encode(text: str) -> np.ndarray:
        may_encode.wait(30)
        return np.zeros(2, np.float32)

    vectors = CachedQueryEncoder(encode, max_waiting=2)
    vectors.watcher = metrics.encoding
    first, second = vectors.submit("one"), vectors.submit("two")
    assert vectors.submit("one") is first
    assert vectors.submit("three") is None
    assert found(metrics)["twinrank_queries_waiting"] == 2
    may_encode.set()
    for future in (first, second):
        await_vector(future, 30)
    batch = vectors.submit_all(["one", "four", "five"])
    for future in batch:
        await_vector(future, 30)
    vectors._pool._executor.shutdown()  # its threads have told by then
    now = found(metrics)
    counts = [
        now[f'twinrank_query_cache_lookups_total{{result="{result}"}}']
        for result in ("hit", "miss", "refused")
    ]
    assert counts == [2, 4, 1]
    assert now["twinrank_queries_waiting"] == 0
    assert now["twinrank_query_cache_entries"] == 4
    assert now["twinrank_query_queue_seconds_count"] == 4


def test_breakers_tell_when_they_open_and_close() -> None:
    metrics, breaker = Metrics(), UpstreamBreaker()
    breaker.on_change = lambda num_open, tripped: metrics.breakers.record_change(
        "upstream", num_open, tripped=tripped
    )
    one, two, three = ((f"/{name}/_search", (), frozenset[str]()) for name in "abc")
    for kind in (one, two):
        for _ in range(MAX_FAILURES + 3):
            breaker.record_failure(kind)
    assert found(metrics)['twinrank_breakers_open{breaker="upstream"}'] == 2
    breaker.record_success(one)
    breaker.record_success(three)
    now = found(metrics)
    assert now['twinrank_breakers_open{breaker="upstream"}'] == 1
    assert now['twinrank_breaker_trips_total{breaker="upstream"}'] == 2
    assert now['twinrank_breakers_open{breaker="model"}'] == 0


def test_written_documents_are_counted_as_the_header_tells_them() -> None:
    metrics = Metrics()
    written = WriteCounts(documents=10, encoded=4, repaired=2, left=1, reasons={"source", "append_only"})
    line = "documents=10; encoded=4; repaired=2; left=1; reason=append_only,source"
    assert written.headers() == (("Rerank-Written", line),)
    told = written.by_name()
    assert told == {"documents": 10, "encoded": 4, "repaired": 2, "left": 1}
    metrics.writes.record_documents("bulk", told)
    now = found(metrics)
    outcomes = {
        name: now[f'twinrank_documents_total{{api="bulk",outcome="{name}"}}']
        for name in told
        if name != "documents"
    }
    assert outcomes == {"encoded": 4, "repaired": 2, "left": 1}
    assert now['twinrank_documents_total{api="bulk",outcome="unchanged"}'] == 3
    enriched = EnrichCounts(3, 2)
    assert enriched.headers() == (("Rerank-Written", "documents=3; encoded=2"),)
    metrics.writes.record_documents("enrich", enriched.by_name())
    assert found(metrics)['twinrank_documents_total{api="enrich",outcome="unchanged"}'] == 1


def test_wrong_settings_are_told_by_index_within_bounds() -> None:
    metrics = Metrics()
    metrics.settings.record_poll({"a": "why"})
    assert found(metrics)['twinrank_settings_invalid{index="a"}'] == 1
    metrics.settings.record_poll({})
    now = found(metrics)
    assert now['twinrank_settings_invalid{index="a"}'] == 0
    assert now["twinrank_settings_polled_timestamp_seconds"] > 1e9
    metrics.settings.record_poll({f"many-{number}": "why" for number in range(2 * MAX_INDICES)})
    shown = [name for name in found(metrics) if name.startswith("twinrank_settings_invalid")]
    assert len(shown) == MAX_INDICES + 1
    assert found(metrics)['twinrank_settings_invalid{index="other"}'] == 1


def test_what_is_told_by_index_can_be_left_out() -> None:
    metrics = Metrics()
    metrics.settings.record_poll({"secret-index": "why"})
    everything, without = (metrics.exposition(with_indices=each)[0].decode() for each in (True, False))
    assert "secret-index" in everything
    assert "secret-index" not in without
    assert numbers(without).keys() == {name for name in numbers(everything) if "secret" not in name}


def test_sync_tells_its_numbers_at_an_address() -> None:
    metrics = SyncMetrics("articles")
    summary = SyncSummary(checked=5, written=3, conflicts=1, lag=Lag(7, 1.5))
    metrics.record(summary)
    summary.checked = 9
    metrics.record(summary)
    place = ListenAddress("127.0.0.1", free_port())
    with metrics.serve(place):
        with urllib.request.urlopen(f"http://{place}/metrics", timeout=30) as answer:  # ours
            now = numbers(answer.read().decode())
        with pytest.raises(CommandError, match="is in use"), SyncMetrics("b").serve(place):
            pass
    assert now['twinrank_sync_documents_total{index="articles",outcome="checked"}'] == 9
    assert now['twinrank_sync_documents_total{index="articles",outcome="written"}'] == 3
    assert now['twinrank_sync_lag_operations{index="articles"}'] == 7


@pytest.mark.live
def test_the_numbers_of_a_running_proxy(
    opensearch_url: str, client: OpenSearch, index_name: str, tmp_path: Path
) -> None:
    """Two workers and a sync: everything is told together, and sums are those of all."""
    make_index(client, index_name)
    client.index(index=index_name, id="0", body={"text": "written past the proxy"})
    arguments = ["--workers", "2", "--sync", index_name]
    own_poller = opensearch_url.replace("127.0.0.1", "localhost")  # else another proxy here may poll
    with running_proxy(own_poller, tmp_path, bundle=TINY_BUNDLE, arguments=arguments) as proxy:

        def now() -> dict[str, float]:
            return numbers(ask(proxy.url, "GET", METRICS).body.decode())

        lines = [line for n in range(4) for line in ({"index": {"_id": str(n)}}, {"text": f"around {n}"})]
        body = "".join(json.dumps(line) + "\n" for line in lines).encode()
        target = f"/{index_name}/_bulk?refresh=true"
        for _ in range(2):
            ask(proxy.url, "POST", target, body, {"Content-Type": "application/x-ndjson"})
        query = {"query": {"match": {"text": "around"}}}
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: search(proxy.url, index_name, query), range(40)))
        until(lambda: with_vector(client, index_name) == 4, within_s=120)
        checked = f'twinrank_sync_documents_total{{index="{index_name}",outcome="checked"}}'
        until(lambda: now().get(checked, 0) > 0, within_s=120)
        client.indices.put_mapping(
            index=index_name, body={"_meta": {"rerank": {"model": "tiny", "window_size": -1}}}
        )
        until(lambda: now().get(f'twinrank_settings_invalid{{index="{index_name}"}}') == 1, within_s=60)
        told = now()
    looked_up = "twinrank_query_cache_lookups_total"
    of_cache = [told[f'{looked_up}{{result="{name}"}}'] for name in ("hit", "miss", "refused")]
    not_looked_up = [told[f'twinrank_searches_refused_total{{queue="{queue}"}}'] for queue in QUEUES]
    assert sum(of_cache) + sum(not_looked_up) == 40, "a busy machine may refuse some, and loses none"
    assert 1 <= of_cache[1] <= 2, "each worker encodes the text once"
    assert told['twinrank_documents_total{api="bulk",outcome="encoded"}'] == 4
    assert told['twinrank_documents_total{api="bulk",outcome="unchanged"}'] == 4
    assert told["twinrank_settings_polled_timestamp_seconds"] > 1e9
    manifest = json.loads((TINY_BUNDLE / "manifest.json").read_text())
    [build] = [name for name in told if name.startswith("twinrank_build_info")]
    assert manifest["digest"] in build


@pytest.mark.live
def test_hosts_that_do_not_answer_are_told(opensearch_url: str) -> None:
    metrics, relay = Metrics(), Relay(opensearch_url)
    with closing(Upstream(f"{relay.url},{opensearch_url}")) as upstream:
        upstream.watch_hosts(metrics.breakers.record_hosts)
        relay.cut()
        for _ in range(2):
            assert upstream.exchange("GET", "/", ()).status == 200
        assert found(metrics)["twinrank_upstream_hosts_left_out"] == 1
        relay.mend()
        until(lambda: found(metrics)["twinrank_upstream_hosts_left_out"] == 0, within_s=60)
    relay.cut()

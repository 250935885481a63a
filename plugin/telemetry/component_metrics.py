"""The counters of single parts of the proxy: the query cache and its queue, breakers, writes, settings.

Each part is given the methods to report to; the part itself knows nothing of Prometheus.
"""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from plugin.encoding.admission import QUEUES
from plugin.telemetry.index_labels import IndexLabels

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

WAIT_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)
ENCODE_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

MAX_INDICES = 100
"""Indices that one worker counts by name; further ones are `other`."""

INDEX_OUTCOMES = ("applied", "skipped", "passed")
"""How searches of an index are told apart: `passed` if no settings of the index hold for them."""


RECORDING_RESULTS = ("written", "full", "no_index", "denied", "rejected", "expired", "unreadable")
"""What is counted of records: a record is written, or lost for a reason."""


class EncodingMetrics:
    """Counts what `CachedQueryEncoder` reports; its circuit is counted among `breakers`."""

    def __init__(self, registry: "CollectorRegistry", breakers: "BreakerMetrics") -> None:
        from prometheus_client import Counter, Gauge, Histogram

        self._breakers = breakers
        lookups = Counter(
            "twinrank_query_cache_lookups",
            "Query texts asked for: hit (encoded, or being encoded for"
            " another search), miss, refused (too many wait).",
            ["result"],
            registry=registry,
        )
        self._lookups = {result: lookups.labels(result) for result in ("hit", "miss", "refused")}
        self._entries = Gauge(
            "twinrank_query_cache_entries",
            "Query vectors kept, of all workers.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._waiting = Gauge(
            "twinrank_queries_waiting",
            "Queries at the encoder or before it, of all workers.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._queue_seconds = Histogram(
            "twinrank_query_queue_seconds",
            "How long a query waited before the encoder took it.",
            buckets=WAIT_BUCKETS_S,
            registry=registry,
        )

    def record_lookup(self, result: str) -> None:
        """Count a text that was asked for: `hit`, `miss` or `refused`."""
        self._lookups[result].inc()

    def record_queue(self, num_waiting: int, num_entries: int) -> None:
        """Record how many queries wait, and how many vectors are kept."""
        self._waiting.set(num_waiting)
        self._entries.set(num_entries)

    def record_start(self, waited_s: float) -> None:
        """Record that the encoder took a query that had waited."""
        self._queue_seconds.observe(waited_s)

    def record_circuit(self, *, is_open: bool, tripped: bool) -> None:
        """Record that the circuit opened or closed."""
        self._breakers.record_change("model", int(is_open), tripped=tripped)


class AdmissionMetrics:
    """Counts what admission reports: waits for a thread, and which queue refuses searches."""

    def __init__(self, registry: "CollectorRegistry") -> None:
        from prometheus_client import Counter, Histogram

        self._wait_seconds = Histogram(
            "twinrank_request_wait_seconds",
            "How long a request waited for a thread or the event loop of its worker.",
            buckets=WAIT_BUCKETS_S,
            registry=registry,
        )
        self._lag_seconds = Histogram(
            "twinrank_loop_lag_seconds",
            "How late an event loop ran what was due, while requests were in flight.",
            buckets=WAIT_BUCKETS_S,
            registry=registry,
        )
        refused = Counter(
            "twinrank_searches_refused",
            "Searches that were not reranked because of a queue: requests (too"
            " many wait for a thread), service (all wait too long for one), encoder (the queries before it"
            " take too long). An _msearch is one.",
            ["queue"],
            registry=registry,
        )
        self._refused = {queue: refused.labels(queue) for queue in QUEUES}
        self._disagree = Counter(
            "twinrank_pages_disagree",
            "Pages that are not as the earlier pages of their search.",
            registry=registry,
        )

    def record_wait(self, waited_s: float) -> None:
        """Record that a request was begun that had waited, in seconds."""
        self._wait_seconds.observe(waited_s)

    def record_lag(self, lag_s: float) -> None:
        """Record how late a loop's heartbeat was, in seconds."""
        self._lag_seconds.observe(lag_s)

    def record_refusal(self, queue: str) -> None:
        """Count a search that was not reranked because of a queue."""
        self._refused[queue].inc()

    def record_disagreement(self) -> None:
        """Count a page that contradicts an earlier one."""
        self._disagree.inc()


class ExperimentMetrics:
    """Counts the searches of indices on which an experiment runs."""

    def __init__(self, registry: "CollectorRegistry") -> None:
        from prometheus_client import Counter

        self._searches = Counter(
            "twinrank_experiment_searches",
            "Searches that an experiment could rerank: assigned, or why they have no part in it (no_unit,"
            " outside_share, own_settings, no_bundle).",
            ["assignment"],
            registry=registry,
        )
        self._comparisons = Counter(
            "twinrank_shadow_comparisons",
            "Searches of shadow experiments whose orders were to be compared: compared, busy (others wait),"
            " failed.",
            ["result"],
            registry=registry,
        )

    def record_search(self, assignment: str) -> None:
        """Count one search."""
        self._searches.labels(assignment).inc()

    def record_comparison(self, result: str) -> None:
        """Count one search; `result` is compared, busy or failed."""
        self._comparisons.labels(result).inc()


class BreakerMetrics:
    """Counts open circuit breakers by name: `upstream` has one a kind of search, `model` is one."""

    def __init__(self, registry: "CollectorRegistry") -> None:
        from prometheus_client import Counter, Gauge

        self._open = Gauge(
            "twinrank_breakers_open",
            "Circuit breakers that are open, of all workers.",
            ["breaker"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._trips = Counter(
            "twinrank_breaker_trips",
            "How often a circuit breaker has opened.",
            ["breaker"],
            registry=registry,
        )
        self._left_out = Gauge(
            "twinrank_upstream_hosts_left_out",
            "OpenSearch's hosts that do not answer, as the worker sees it that misses most.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        for name in ("upstream", "model"):
            self._open.labels(name).set(0)
            self._trips.labels(name)

    def record_change(self, name: str, num_open: int, *, tripped: bool) -> None:
        """Record how many breakers of a name are open, and whether one has just opened."""
        self._open.labels(name).set(num_open)
        if tripped:
            self._trips.labels(name).inc()

    def record_hosts(self, num_hosts: int) -> None:
        """Record how many of OpenSearch's hosts are not asked, since they do not answer."""
        self._left_out.set(num_hosts)


class IndexMetrics:
    """Counts searches by index, for the alert that an index is no longer reranked."""

    def __init__(self, registry: "CollectorRegistry", labels: IndexLabels) -> None:
        from prometheus_client import Counter

        self._labels = labels
        searches = Counter(
            "twinrank_index_searches", "Searches that were answered 200, by the index as they name it:"
            " applied, skipped, passed (no settings).", ["index", "outcome"], registry=registry,
        )  # fmt: skip
        self._searches = cache(searches.labels)  # bounded, as the labels are
        self._begun: set[str] = set()

    def record_search(self, index: str, outcome: str) -> None:
        """Count a search; `index` is the expression that it names, `outcome` one of `INDEX_OUTCOMES`."""
        label = self._labels.label(index, applied=outcome == "applied")
        if label not in self._begun:  # Prometheus sees an increase only from a value that it has seen
            self._begun.add(label)
            for each in INDEX_OUTCOMES:
                self._searches(label, each)
        self._searches(label, outcome).inc()


class WriteMetrics:
    """Counts writes of documents, and what their encoder reports."""

    def __init__(self, registry: "CollectorRegistry") -> None:
        from prometheus_client import Counter, Histogram

        self._writes = Counter(
            "twinrank_writes",
            "Requests with documents for indices with settings.",
            ["api"],
            registry=registry,
        )
        self._documents = Counter(
            "twinrank_documents",
            "Their documents: encoded, unchanged (nothing to encode), repaired (given"
            " the vector after the write), left (without a current vector until sync).",
            ["api", "outcome"],
            registry=registry,
        )
        self._texts = Counter("twinrank_document_texts", "Document texts encoded.", registry=registry)
        self._seconds = Histogram(
            "twinrank_document_encode_seconds",
            "Time of the document encoder for one batch.",
            buckets=ENCODE_BUCKETS_S,
            registry=registry,
        )

    def record_documents(self, api: str, counted: Mapping[str, int]) -> None:
        """Count a request's documents, as its `Rerank-Written` header has them."""
        counts = {name: counted.get(name, 0) for name in ("encoded", "repaired", "left")}
        counts["unchanged"] = max(0, counted.get("documents", 0) - sum(counts.values()))
        self._writes.labels(api).inc()
        for outcome, count in counts.items():
            self._documents.labels(api, outcome).inc(count)

    def record_batch(self, num_texts: int, seconds: float) -> None:
        """Record a batch that went through the encoder."""
        self._texts.inc(num_texts)
        self._seconds.observe(seconds)


class RecordingMetrics:
    """Counts records of searches with `ext.ubi`."""

    def __init__(self, registry: "CollectorRegistry") -> None:
        from prometheus_client import Counter

        self._records = Counter(
            "twinrank_ubi_records",
            "Records of searches with ext.ubi: written, or lost (full, no_index, denied, rejected, expired,"
            " unreadable).",
            ["result"],
            registry=registry,
        )
        for result in RECORDING_RESULTS:
            self._records.labels(result)

    def record(self, result: str, count: int) -> None:
        """Count records that were written or lost; `result` is one of RECORDING_RESULTS."""
        self._records.labels(result).inc(count)


class SettingsMetrics:
    """Records when the poller last looked, and which indices' settings are wrong."""

    def __init__(self, registry: "CollectorRegistry") -> None:
        from prometheus_client import Gauge

        self._polled = Gauge(
            "twinrank_settings_polled_timestamp_seconds",
            "When the settings were last seen to be current.",
            registry=registry,
            multiprocess_mode="max",
        )
        self._invalid = Gauge(
            "twinrank_settings_invalid",
            "1 for an index whose _meta.rerank is wrong, 0 once it is mended.",
            ["index"],
            registry=registry,
            multiprocess_mode="livemostrecent",
        )
        self._named: set[str] = set()
        self._wrong: frozenset[str] = frozenset()

    def record_poll(self, problems: Mapping[str, str]) -> None:
        """Record a look at the cluster, and the indices that it found wrong."""
        self._polled.set_to_current_time()
        if problems.keys() == self._wrong:
            return
        wrong = {self._known(name) for name in sorted(problems)}
        for name in self._named:
            self._invalid.labels(name).set(name in wrong)
        self._wrong = frozenset(problems)

    def _known(self, index: str) -> str:
        shown = index if index in self._named or len(self._named) < MAX_INDICES else "other"
        self._named.add(shown)
        return shown

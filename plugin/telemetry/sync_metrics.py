"""What a sync counts, for Prometheus: among the proxy's numbers beside it, else at an address of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from indexer.sync.summary import SyncSummary
from plugin.http.listen_address import ListenAddress

if TYPE_CHECKING:
    from prometheus_client import Gauge

_OUTCOMES = ("checked", "current", "written", "conflicts", "rejected")


class SyncMetrics:
    """The numbers of one sync; `index` is the name that it follows."""

    def __init__(self, index: str) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge

        self.registry = own = CollectorRegistry()
        self._index = index
        self._lag_operations = Gauge(
            "twinrank_sync_lag_operations",
            "Operations that sync has not looked at yet.",
            ["index"],
            registry=own,
            multiprocess_mode="livemostrecent",
        )
        self._lag_seconds = Gauge(
            "twinrank_sync_lag_seconds",
            "How long vectors may have been stale.",
            ["index"],
            registry=own,
            multiprocess_mode="livemostrecent",
        )
        self._missing = Gauge(
            "twinrank_sync_missing_documents",
            "Documents with text and without a vector.",
            ["index"],
            registry=own,
            multiprocess_mode="livemostrecent",
        )
        self._blocked = Gauge(
            "twinrank_sync_blocked_indices",
            "Indices that must be written to, and cannot be.",
            ["index"],
            registry=own,
            multiprocess_mode="livemostrecent",
        )
        documents = Counter(
            "twinrank_sync_documents",
            "Documents by what sync did: checked (all), current, written,"
            " conflicts (changed meanwhile), rejected, and by how their text was encoded.",
            ["index", "outcome"],
            registry=own,
        )
        self._documents = {name: documents.labels(index, name) for name in _OUTCOMES}
        self._encoded = documents.labels(index, "encoded")
        self._recorded = dict.fromkeys((*_OUTCOMES, "encoded"), 0)

    def record(self, summary: SyncSummary) -> None:
        """Take over what a summary says now."""
        known: dict[Gauge, float | None] = {
            self._lag_operations: None if summary.lag is None else summary.lag.operations,
            self._lag_seconds: None if summary.lag is None else summary.lag.seconds,
            self._missing: summary.missing,
            self._blocked: len(summary.blocked),
        }
        for gauge, value in known.items():
            if value is not None:  # a gauge without a value is not shown: 0 would be untrue
                gauge.labels(self._index).set(value)
        now = summary.as_json()
        for name, counter in (*self._documents.items(), ("encoded", self._encoded)):
            counter.inc(now[name] - self._recorded[name])
            self._recorded[name] = now[name]

    @contextmanager
    def serve(self, address: ListenAddress | None) -> Iterator[None]:
        """Serve the numbers at an address for as long as the block lasts; nowhere if there is none.

        Raises:
            ListenError: one cannot listen there.
        """
        if address is None:
            yield
            return
        from prometheus_client import start_http_server

        place = address.resolved()
        place.check_free()
        server, thread = start_http_server(place.port, place.host, self.registry)
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

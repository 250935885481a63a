"""What the proxy counts, for Prometheus: every search by its outcome, its stages, its hits.

gunicorn's workers share their numbers through files in one folder, which the environment names before the
library is imported: so it is imported here, in a worker, and not above.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from plugin.http.messages import Request, Response
from plugin.telemetry.component_metrics import (
    AdmissionMetrics,
    BreakerMetrics,
    EncodingMetrics,
    ExperimentMetrics,
    IndexMetrics,
    RecordingMetrics,
    SettingsMetrics,
    WriteMetrics,
)
from plugin.telemetry.index_labels import IndexLabels
from plugin.telemetry.index_searches import list_index_searches
from plugin.telemetry.outcome import AnyOutcome, outcome_of
from plugin.telemetry.write_counts import EnrichCounts, WriteCounts

if TYPE_CHECKING:
    from gunicorn.workers.base import Worker
    from prometheus_client import CollectorRegistry, Metric

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

SEARCHES = "twinrank_searches"
SEARCH_SECONDS = "twinrank_search_seconds"
STAGE_SECONDS = "twinrank_search_stage_seconds"
HITS = "twinrank_hits"
REQUESTS = "twinrank_requests"
BUILD = "twinrank_build_info"

INDEX_LABELS = "indices.jsonl"
"""The file beside the counters in which workers agree on the indices that they name."""

MAX_REASONS = 64
"""Different reasons that are counted apart in one worker."""

RESERVED_BYTES = 128 * 1024
"""Of each file but the counters': about four times what those metrics of a worker take."""

COUNTERS_BYTES = 1024 * 1024
"""Of the counters' file: searches are counted by index, and 200 names of the longest kind take 600 KiB."""

_KINDS = ("counter", "histogram", "gauge_livemax", "gauge_livesum", "gauge_livemostrecent", "gauge_max")
"""How prometheus_client names its files, by type and by how workers' values are joined."""

_log = logging.getLogger("twinrank.metrics")


class Metrics:
    """The counters of one worker."""

    def __init__(self) -> None:
        from prometheus_client import values

        folder = os.environ.get(FOLDER_VARIABLE)
        if folder and not reserve_disk(Path(folder), os.getpid()):
            del os.environ[FOLDER_VARIABLE]
            # the library may have chosen maps already: a master that saw a worker end has imported it
            values.ValueClass = values.MutexValue
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = own = CollectorRegistry()
        searches = Counter(
            SEARCHES,
            "Searches by outcome (applied, skipped, refused) and reason.",
            ["outcome", "reason"],
            registry=own,
        )
        seconds = Histogram(
            SEARCH_SECONDS,
            "Time of a search in the proxy, OpenSearch's part included.",
            ["outcome"],
            buckets=_BUCKETS_S,
            registry=own,
        )
        stages = Histogram(
            STAGE_SECONDS, "Time of each stage of a search.", ["stage"], buckets=_BUCKETS_S, registry=own
        )
        hits = Counter(
            HITS, "Hits of reranked windows, with a usable vector and without.", ["vector"], registry=own
        )
        requests = Counter(REQUESTS, "Answers by class of status.", ["status"], registry=own)
        # the library looks a label up under a lock, and its values as strings, each time
        self._searches, self._seconds = cache(searches.labels), cache(seconds.labels)
        self._stages, self._hits = cache(stages.labels), cache(hits.labels)
        self._requests = cache(requests.labels)
        self._reasons: set[str] = set()
        self._build = Gauge(
            BUILD,
            "1, with the version, and the bundle that a worker serves.",
            ["version", "bundle", "digest"],
            registry=own,
            multiprocess_mode="livemax",
        )
        self.breakers = BreakerMetrics(own)
        self.admission = AdmissionMetrics(own)
        self.encoding = EncodingMetrics(own, self.breakers)
        folder = os.environ.get(FOLDER_VARIABLE)
        self.indices = IndexMetrics(own, IndexLabels(Path(folder) / INDEX_LABELS if folder else None))
        self.writes = WriteMetrics(own)
        self.settings = SettingsMetrics(own)
        self.recording = RecordingMetrics(own)
        self.experiments = ExperimentMetrics(own)

    def record_bundle(self, bundle: str, digest: str) -> None:
        """Record which bundle this worker serves."""
        self._build.labels(version("twinrank"), bundle, digest).set(1)

    def record_response(self, request: Request, response: Response) -> None:
        """Count a response of any kind, and what it says of searches or of documents."""
        self.record_status(response.status)
        if isinstance(response.outcome, WriteCounts | EnrichCounts):
            self.writes.record_documents(_write_api(request.path), response.outcome.by_name())
        outcome = outcome_of(response)
        if outcome is not None:
            self.record_search(outcome)
            for index, result in list_index_searches(request, response, outcome):
                self.indices.record_search(index, result)

    def record_status(self, status: int) -> None:
        """Count a response of any kind."""
        self._requests(f"{status // 100}xx").inc()

    def record_search(self, outcome: AnyOutcome) -> None:
        """Count one search, or each item of several."""
        for (result, reason), count in outcome.counts().items():
            self._searches(result, self._known(reason)).inc(count)
        for stage, ms in outcome.stages_ms.items():
            if stage == "total":
                self._seconds(outcome.result).observe(ms / 1000)
            else:
                self._stages(stage).observe(ms / 1000)
        if outcome.window:
            self._hits("usable").inc(outcome.scored)
            self._hits("missing").inc(outcome.window - outcome.scored)

    def _known(self, reason: str) -> str:
        """Return the reason, `other` once there are too many: it may be a key that a client made up."""
        if reason not in self._reasons and len(self._reasons) >= MAX_REASONS:
            return "other"
        self._reasons.add(reason)
        return reason

    def exposition(self, *, with_indices: bool = True) -> tuple[bytes, str]:
        """Return the numbers of all workers in Prometheus's text format, and its content type.

        Without `with_indices` numbers by index are left out: not everybody may see indices' names.
        """
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        found = self._of_all_workers()
        return generate_latest(found if with_indices else _WithoutIndices(found)), CONTENT_TYPE_LATEST

    def _of_all_workers(self) -> "CollectorRegistry":
        if FOLDER_VARIABLE not in os.environ:
            return self._registry
        from prometheus_client import CollectorRegistry, multiprocess

        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return together


class _WithoutIndices:
    """What a registry collects, without numbers by index."""

    def __init__(self, registry: "CollectorRegistry") -> None:
        self._registry = registry

    def collect(self) -> "Iterator[Metric]":
        """Yield the families that name no index."""
        for family in self._registry.collect():
            if not any("index" in sample.labels for sample in family.samples):
                yield family


def reserve_disk(folder: Path, pid: int) -> bool:
    """Reserve disk space for a worker's numbers before it writes any; return whether there is enough.

    They are written through memory maps. A page of a map for which the disk is full ends the process with
    SIGBUS. Seen: with a full disk each worker ended at its start, and so did its successors, thousands of
    times. If the space cannot be reserved, no file is left.
    """
    files = {kind: folder / f"{kind}_{pid}.db" for kind in _KINDS}
    try:
        for kind, file in files.items():
            with file.open("ab") as made:
                num_bytes = COUNTERS_BYTES if kind == "counter" else RESERVED_BYTES
                os.posix_fallocate(made.fileno(), 0, num_bytes)
    except OSError as error:
        for file in files.values():
            file.unlink(missing_ok=True)
        _log.warning(
            "expected disk space for this worker's numbers in %s, found: %s. It counts apart from the others"
            " until it is restarted",
            folder,
            error,
        )
        return False
    return True


def _write_api(path: str) -> str:
    """Return what counters call the API of a write: `bulk`, `enrich`, or `document`."""
    last = path.rstrip("/").rpartition("/")[2]
    return {"_bulk": "bulk", "enrich": "enrich"}.get(last, "document")


def forget_worker(_server: object, worker: "Worker") -> None:
    """Forget what a worker that has ended was just doing; what it counted stays."""
    forget_process(worker.pid)


def forget_process(pid: int) -> None:
    """Forget what a process that has ended was just doing, if processes share their numbers."""
    if FOLDER_VARIABLE in os.environ:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


@contextmanager
def share_between_workers() -> Iterator[None]:
    """Keep a folder through which workers that are forked meanwhile share their numbers."""
    folder, master = tempfile.mkdtemp(prefix="twinrank-metrics-"), os.getpid()
    os.environ[FOLDER_VARIABLE] = folder
    try:
        yield
    finally:
        if os.getpid() == master:  # a worker's end leaves this block too, and the others still write there
            shutil.rmtree(folder, ignore_errors=True)

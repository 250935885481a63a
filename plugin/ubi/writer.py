"""Writes records in the background; what cannot be written is counted and logged.

One thread a worker, which begins with the first search that has `ext.ubi`.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from plugin.errors import UpstreamError
from plugin.http.headers import Headers
from plugin.ubi.indices import QUERIES
from plugin.ubi.presence import PluginPresence
from plugin.ubi.record_queue import QueuedRecord, RecordQueue
from plugin.ubi.record_target import WRITTEN, RecordResult, RecordTarget, UnwritableError

PERIOD_S = 0.5
"""Between two writes; a record waits so long for others."""

BATCH = 500
"""Records of one request at most."""

KEPT_S = 60.0
KEPT_FOR_A_CALLER_S = 5.0
"""How long a record is kept while it cannot be written; those in a caller's name hold credentials."""

LOGGED_S = 60.0
"""Losses of one kind are logged once in this time."""

_REMEDIES = {
    "full": "more records came than could be written",
    "no_index": f"there is no index {QUERIES}. Create it with: twinrank ubi create",
    "denied": f"the account may not write to {QUERIES}. Start the proxy with --user, and give that account"
    " the rights in opensearch/deploy/roles/ubi.json",
    "rejected": f"OpenSearch refused the documents. Compare the mapping of {QUERIES} with that of the plugin",
    "expired": "OpenSearch could not write them in time",
    "unreadable": "the answers could not be read",
}

_log = logging.getLogger("twinrank.ubi")


class RecordWriter:
    """Empties a queue into a target.

    Args:
        target: takes the records.
        queue: what is written.
        presence: is refreshed by this thread, so that no search waits for it.
        headers: the service account's.
        is_service: whether records are written as the service account; else as their callers.
    """

    def __init__(
        self,
        target: RecordTarget,
        queue: RecordQueue,
        presence: PluginPresence,
        headers: Headers = (),
        *,
        is_service: bool = False,
    ) -> None:
        self._target, self._queue, self._presence = target, queue, presence
        self._headers, self.is_service = headers, is_service
        self._kept_s = KEPT_S if is_service else KEPT_FOR_A_CALLER_S
        self._losses = _Losses()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.on_result: Callable[[str, int], None] = lambda result, count: None

    def start(self) -> None:
        """Start writing, once, in a thread of its own."""
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ubi-writer", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Write what waits, once, and end."""
        self._stopped.set()
        self._queue.wake()
        if self._thread is not None:
            self._thread.join(PERIOD_S + KEPT_FOR_A_CALLER_S)
        self._target.close()

    def record_loss(self, reason: str, count: int = 1, detail: str = "") -> None:
        """Count and log records that are lost; `reason` is one of the metric's."""
        self.on_result(reason, count)
        self._losses.record(reason, count, detail)

    def write_all(self) -> None:
        """Write what waits; what cannot be written now waits again, or is lost."""
        for _ in range(-(-len(self._queue) // BATCH)):
            batch = self._queue.take(BATCH)
            by_identity: dict[Headers, list[QueuedRecord]] = {}
            for each in batch:
                by_identity.setdefault(self._headers if self.is_service else each.identity, []).append(each)
            for headers, records in by_identity.items():
                self._write(records, headers)

    def _run(self) -> None:
        while not self._stopped.is_set():
            if self.is_service:
                self._presence.refresh(self._headers)
            if self._queue.wait(PERIOD_S):
                self._stopped.wait(PERIOD_S)
                self.write_all()
            self._losses.log()
        self.write_all()
        self._losses.log(at_once=True)

    def _write(self, records: Sequence[QueuedRecord], headers: Headers) -> None:
        """Write records in one request, in the name of these headers."""
        self._presence.refresh(headers)
        try:
            results = self._target.write([each.record for each in records], headers)
        except UnwritableError as error:
            results = [RecordResult(error.reason, str(error))] * len(records)
        except UpstreamError as error:
            results = [RecordResult(None, str(error))] * len(records)
        outcomes: dict[RecordResult, list[QueuedRecord]] = {}
        for record, result in zip(records, results, strict=True):
            outcomes.setdefault(result, []).append(record)
        for result, those in outcomes.items():
            self._record_result(those, result)

    def _record_result(self, records: Sequence[QueuedRecord], result: RecordResult) -> None:
        if result.result is None:
            self._keep(records, result.detail)
        elif result.result == WRITTEN:
            self.on_result(WRITTEN, len(records))
        else:
            self.record_loss(result.result, len(records), result.detail)

    def _keep(self, records: Sequence[QueuedRecord], detail: str) -> None:
        """Keep records for later if there is time; count and log those that are lost."""
        oldest_s = self._queue.clock() - self._kept_s
        young = [each for each in records if each.queued_s >= oldest_s and not self._stopped.is_set()]
        num_without_room = self._queue.put_back(young)
        for lost, count in (("expired", len(records) - len(young)), ("full", num_without_room)):
            if count:
                self.record_loss(lost, count, detail)


class _Losses:
    """What was lost since it was last logged."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._details: dict[str, str] = {}
        self._logged_s: dict[str, float] = {}
        self._lock = threading.Lock()

    def record(self, reason: str, count: int, detail: str) -> None:
        with self._lock:
            self._counts[reason] = self._counts.get(reason, 0) + count
            self._details[reason] = detail or self._details.get(reason, "")

    def log(self, *, at_once: bool = False) -> None:
        """Log each kind of loss, at most once in LOGGED_S unless it is the last time."""
        now_s = time.monotonic()
        with self._lock:
            due = [
                each for each in self._counts if at_once or now_s - self._logged_s.get(each, -1e9) >= LOGGED_S
            ]
            counts = {reason: self._counts.pop(reason) for reason in due}
            details = {reason: self._details.pop(reason, "") for reason in due}
            self._logged_s |= dict.fromkeys(due, now_s)
        for reason, count in counts.items():
            found = f" ({details[reason]})" if details[reason] else ""
            _log.warning("%d UBI records were lost, reason=%s: %s%s", count, reason, _REMEDIES[reason], found)

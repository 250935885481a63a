"""One poller a host: follows the cluster's state, and shares what it reads with every worker of the host.

The worker that holds the lock file polls `_cluster/state/version` every second, which costs OpenSearch
nothing, and reads all indices' settings only if it has changed. The others read the file that it writes. The
system frees the lock of a process that dies, and the next one takes it.
"""

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO
from urllib.parse import urlencode

import msgspec

from opensearch.settings.layers import Defaults
from opensearch.settings.search_pipeline import SearchPipeline, pipeline_target, read_pipelines
from opensearch.settings.target import INDEX_FILTER, IndexRecord, find_problems, read_records
from plugin.errors import UpstreamError
from plugin.http.headers import Headers
from plugin.settings.cluster_view import ClusterRecords, ClusterView
from plugin.upstream.client import Upstream

PERIOD_S = 1.0
"""Between two looks at the cluster's state."""

TICK_S = 0.2
"""Between two looks at the shared file."""

STALE_S = 10.0
"""A view whose poller has been silent for longer is not used."""

DENIED_S = 60.0
"""Until the next attempt, if the account may not read the cluster's state."""

PAUSE_FACTOR = 10
"""After reading all settings, the poller pauses for this many times the time that it took."""

MAX_PAUSE_S = 30.0

_STATE = "/_cluster/state/version?filter_path=cluster_uuid,state_uuid"
_EVERYTHING = "/*?" + urlencode(
    {
        "expand_wildcards": "all",
        "filter_path": f"{INDEX_FILTER},*.aliases,*.data_stream",
    }
)
_RECORDS = msgspec.json.Decoder(ClusterRecords)

_log = logging.getLogger("twinrank.settings")


class DeniedPollError(Exception):
    """The account may not read what the poller needs; the message quotes OpenSearch's response."""


class SettingsPoller:
    """One worker's poller: leads or follows, and keeps the newest view.

    Args:
        upstream: the OpenSearch.
        headers: the service account's; none for a cluster without authentication.
        folder: shared by all workers that poll the same OpenSearch as the same account.
        defaults: the server's own settings.
    """

    def __init__(self, upstream: Upstream, headers: Headers, folder: Path, defaults: Defaults) -> None:
        self.headers = headers
        self._reader = _ClusterReader(upstream, headers)
        self._defaults = defaults
        self._file = folder / "settings.json"
        self._lock_path = folder / "poller.lock"
        self._lock: IO[str] | None = None
        self._view: ClusterView | None = None
        self._read_ns = 0
        self._heartbeat_ns, self._alive_s = _modified_ns(self._lock_path), float("-inf")
        self._due_s = 0.0
        self._problem = ""
        self._problems: dict[str, str] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="settings-poller", daemon=True)
        self._has_looked = False
        self._has_tried = threading.Event()
        self.on_change: Callable[[], None] = lambda: None
        self.on_poll: Callable[[Mapping[str, str]], None] = lambda problems: None

    def start(self) -> None:
        """Start polling in a thread of its own."""
        self._thread.start()

    def wait_for_first_look(self, timeout_s: float) -> None:
        """Wait until this one has looked once or OpenSearch has failed to answer, `timeout_s` at most."""
        self._has_tried.wait(timeout_s)

    def stop(self) -> None:
        """Stop polling, and let another worker lead."""
        self._stopped.set()
        self._thread.join()

    @property
    def is_leader(self) -> bool:
        """Whether this one polls."""
        return self._lock is not None

    @property
    def has_looked(self) -> bool:
        """Whether OpenSearch has answered the first poll, even by a refusal, or another worker polls."""
        return self._has_looked

    @property
    def last_read_ms(self) -> float | None:
        """How long the last reading of all settings took, in ms; None if this worker never read them."""
        return self._reader.last_read_ms

    def write_heartbeat(self) -> None:
        """Confirm that the shared file is up to date, and read it, as the leader does after each poll."""
        self._lock_path.touch()
        self._follow()

    def view(self) -> ClusterView | None:
        """Return the newest view; None if none is up to date."""
        return self._view if time.monotonic() - self._alive_s < STALE_S else None

    def _run(self) -> None:
        while not self._stopped.is_set():
            if self._try_to_lead() and time.monotonic() >= self._due_s:
                self._poll()
            self._follow()
            self._has_looked |= not self.is_leader
            self._has_tried.set()
            self._stopped.wait(TICK_S)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _try_to_lead(self) -> bool:
        if self._lock is not None:
            return True
        file = self._lock_path.open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self._lock = file
        return True

    def _poll(self) -> None:
        self._due_s = time.monotonic() + PERIOD_S
        try:
            changed = self._reader.read_if_changed()
        except DeniedPollError as error:
            self._due_s = time.monotonic() + DENIED_S
            self._has_looked = True
            self._log_problem(
                f"{error}. Until that is allowed, each search's settings are read as its caller"
            )
            return
        except (UpstreamError, ValueError) as error:
            self._log_problem(str(error))
            return
        self._log_problem("")
        if changed is not None:
            self._log_problems(changed.indices)
            self._write(changed)
        self.write_heartbeat()  # after the file that it confirms
        self._has_looked = True
        self.on_poll(self._problems)

    def _write(self, records: ClusterRecords) -> None:
        new = self._file.with_suffix(f".{os.getpid()}")
        new.write_bytes(msgspec.json.encode(records))
        new.replace(self._file)

    def _follow(self) -> None:
        heartbeat_ns, written_ns = _modified_ns(self._lock_path), _modified_ns(self._file)
        if written_ns != self._read_ns:
            try:
                records = _RECORDS.decode(self._file.read_bytes())
            except (OSError, ValueError) as error:
                self._log_problem(f"the shared settings cannot be read: {error}")
                return
            self._read_ns = written_ns
            if self._view is None or self._view.state != records.state:
                self._view = ClusterView(records, self._defaults)
                self.on_change()
        if heartbeat_ns != self._heartbeat_ns:
            self._heartbeat_ns, self._alive_s = heartbeat_ns, time.monotonic()

    def _log_problem(self, problem: str) -> None:
        """Log a problem once, and its end."""
        if problem and problem != self._problem:
            _log.warning("settings are not polled: %s", problem)
        elif self._problem and not problem:
            _log.warning("settings are polled again")
        self._problem = problem

    def _log_problems(self, records: dict[str, IndexRecord]) -> None:
        problems = find_problems(records, self._defaults)
        for name, problem in problems.items():
            if self._problems.get(name) != problem:
                _log.error("%s is not reranked, reason=settings: %s", name, problem)
        self._problems = problems


def _modified_ns(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


class _ClusterReader:
    """Asks OpenSearch what has changed."""

    def __init__(self, upstream: Upstream, headers: Headers) -> None:
        self._upstream = upstream
        self._headers = headers
        self._state = ""
        self._pauses_until_s = 0.0
        self.last_read_ms: float | None = None

    def read_if_changed(self) -> ClusterRecords | None:
        """Return every index's record if the cluster has changed since the last call, else None.

        Raises:
            DeniedPollError: the account may not.
            UpstreamError, ValueError: OpenSearch cannot be asked, or answers something else.
        """
        state = self._ask(_STATE).decode()
        if state == self._state or time.monotonic() < self._pauses_until_s:
            return None
        started_s = time.monotonic()
        records = read_records(self._ask(_EVERYTHING))
        pipelines = self._read_pipelines()
        ended_s = time.monotonic()
        self.last_read_ms = (ended_s - started_s) * 1000
        self._pauses_until_s = ended_s + min(MAX_PAUSE_S, PAUSE_FACTOR * (ended_s - started_s))
        self._state = state
        return ClusterRecords(state, records, pipelines)

    def _read_pipelines(self) -> dict[str, SearchPipeline] | None:
        """Return every search pipeline, None if the account may not read them: settings need none.

        Raises:
            UpstreamError, ValueError: OpenSearch cannot be asked, or answers something else.
        """
        response = self._upstream.exchange("GET", pipeline_target(), self._headers)
        return read_pipelines(response.body) if response.status == 200 else None

    def _ask(self, target: str) -> bytes:
        response = self._upstream.exchange("GET", target, self._headers)
        if response.status in (401, 403):
            raise DeniedPollError(
                f"OpenSearch answered {response.status} to GET {target.partition('?')[0]}:"
                f" {response.body[:200].decode('utf-8', 'replace')}"
            )
        if response.status != 200:
            raise ValueError(
                f"expected status 200 for {target}, found {response.status}: {response.body[:200]!r}"
            )
        return response.body

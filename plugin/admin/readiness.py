"""Whether this worker can do its work: asked by what starts, restarts and balances containers."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass

from plugin.errors import UpstreamError
from plugin.http.messages import Headers
from plugin.settings.poller import SettingsPoller
from plugin.upstream.client import Upstream

FRESH_S = 1.0
"""So long an answer of OpenSearch's holds: however often health is asked, OpenSearch hears of it once a
second and worker."""

WAIT_S = 1.5
"""How long one who asks waits for OpenSearch; container platforms ask with timeouts of a few seconds."""

SERVER_FAULTS = 500

_log = logging.getLogger("twinrank.health")


@dataclass(frozen=True)
class Reached:
    """What OpenSearch answered: its status, None where it did not."""

    status: int | None

    @property
    def is_well(self) -> bool:
        """Whether it works; 401 and 403 are answers too, to one who has no credentials."""
        return self.status is not None and self.status < SERVER_FAULTS


class Readiness:
    """Asks OpenSearch on behalf of all who ask for health, one question at a time.

    Args:
        upstream: the OpenSearch.
        headers: the service account's, none where there is none.
        poller: what reads the settings, None where each search reads its own.
        clock: seconds, for the tests.
    """

    def __init__(
        self,
        upstream: Upstream,
        headers: Headers = (),
        poller: SettingsPoller | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstream = upstream
        self._headers = headers
        self._poller = poller
        self._clock = clock
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._lock = threading.Lock()
        self._asked: Future[Reached] | None = None
        self._asked_s = 0.0

    def opensearch(self) -> Reached:
        """Return what OpenSearch answered within the last second."""
        try:
            return self._latest().result(WAIT_S)
        except FutureTimeoutError:
            return Reached(None)

    def missing(self) -> list[str]:
        """Return what is not ready: `opensearch`, `settings`; nothing where searches can be reranked.

        The bundle is not among them: a worker whose bundle does not stand its check never answers at all.
        """
        found = [] if self.opensearch().is_well else ["opensearch"]
        if self._poller is not None and not self._poller.has_looked:
            found.append("settings")
        return found

    def _latest(self) -> Future[Reached]:
        with self._lock:
            asked = self._asked
            if asked is None or (asked.done() and self._clock() - self._asked_s >= FRESH_S):
                asked = self._asked = self._pool.submit(self._ask)
                self._asked_s = self._clock()
            return asked

    def _ask(self) -> Reached:
        try:
            return Reached(self._upstream.exchange("GET", "/", self._headers).status)
        except UpstreamError as error:
            _log.warning("not ready: %s", error)
            return Reached(None)

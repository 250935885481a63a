"""Health: whether this worker can do its work, and what it does now.

`/health/live`, `/health/ready` and `/health` need no credentials and give no details: whatever starts and
restarts containers asks for them. `/status` is for callers that may ask OpenSearch `GET /`.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import asdict, dataclass
from typing import Any

import flask

from plugin.admin.responses import JSON, build_response
from plugin.encoding.model import Model
from plugin.errors import UpstreamError
from plugin.http.caller import select_caller_headers
from plugin.http.headers import Headers
from plugin.http.messages import Request
from plugin.http.request_queue import request_queue
from plugin.settings.poller import SettingsPoller
from plugin.upstream.client import Upstream

FRESH_S = 1.0
"""How long an answer of OpenSearch is used: each worker asks at most once a second."""

WAIT_S = 1.5
"""How long a health request waits for OpenSearch; container platforms have timeouts of a few seconds."""

SERVER_FAULTS = 500

_log = logging.getLogger("twinrank.health")


@dataclass(frozen=True)
class Reached:
    """OpenSearch's answer: its status, None if there was none."""

    status: int | None

    @property
    def is_well(self) -> bool:
        """Whether OpenSearch works; 401 and 403 count as answers, since the caller may lack credentials."""
        return self.status is not None and self.status < SERVER_FAULTS


class Readiness:
    """Asks OpenSearch on behalf of all health requests, one at a time.

    Args:
        upstream: the connections to OpenSearch.
        headers: the service account's credentials, if it has any.
        poller: the poller of settings; None if each search reads its own.
        clock: seconds, for tests.
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

    def check_opensearch(self) -> Reached:
        """Return OpenSearch's answer of the last second."""
        try:
            return self._latest().result(WAIT_S)
        except FutureTimeoutError:
            return Reached(None)

    def list_missing(self) -> list[str]:
        """Return what is not ready: `check_opensearch`, `settings`; nothing if searches can be reranked.

        The bundle is not among them: a worker whose bundle fails its check never starts.
        """
        found = [] if self.check_opensearch().is_well else ["opensearch"]
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


@dataclass(frozen=True)
class HealthViews:
    """The endpoints of one worker."""

    readiness: Readiness
    model: Model

    def register(self, app: flask.Flask, prefix: str) -> None:
        """Add the endpoints to an app."""
        app.add_url_rule(f"{prefix}health", "health", self.health)
        app.add_url_rule(f"{prefix}health/live", "live", self.live)
        app.add_url_rule(f"{prefix}health/ready", "ready", self.ready)

    def live(self) -> flask.Response:
        """200 while the process answers. It asks nothing else, so that another's fault causes no restart."""
        return flask.jsonify({"status": "ok"})

    def ready(self) -> flask.Response:
        """200 while searches can be reranked, else 503 with what is missing."""
        missing = self.readiness.list_missing()
        if missing:
            return flask.make_response(flask.jsonify({"status": "unavailable", "missing": missing}), 503)
        return flask.jsonify({"status": "ok"})

    def health(self) -> flask.Response:
        """The bundle, and whether OpenSearch answers: 200, or 503 while it does not."""
        reached = self.readiness.check_opensearch()
        bundle = {"name": self.model.name, "version": self.model.version, "digest": self.model.digest}
        state = {
            "status": "ok" if reached.is_well else "unavailable",
            "bundle": bundle,
            "opensearch": {"status": reached.status},
        }
        return flask.make_response(flask.jsonify(state), 200 if reached.is_well else 503)


@dataclass(frozen=True)
class WorkerStatus:
    """The view in front of one OpenSearch."""

    upstream: Upstream
    model: Model

    def register(self, app: flask.Flask, prefix: str) -> None:
        """Add it to an app."""
        app.add_url_rule(f"{prefix}status", "worker status", self.status)

    def status(self) -> flask.Response:
        """The state of the answering worker, for callers that may ask OpenSearch `GET /`."""
        try:
            asked = self.upstream.exchange(
                "GET", "/", select_caller_headers(Request.from_environ(flask.request.environ))
            )
        except UpstreamError:  # the state matters most when OpenSearch is away
            asked = None
        if asked is not None and asked.status in (401, 403):
            return flask.Response(asked.body, asked.status, content_type=JSON)
        return build_response(describe_worker(self.upstream, self.model))


def describe_worker(upstream: Upstream, model: Model) -> dict[str, Any]:
    """Return the state of one worker."""
    return {
        "worker": os.getpid(),
        "admission": {
            "in_flight": model.in_flight.number,
            "num_waiting": request_queue.length,
            "service_wait_ms": model.admission.service.least_s() * 1000,
            "encoder_wait_ms": model.admission.encoder.least_s() * 1000,
        },
        "query_encoder": asdict(model.query_vectors.state()),
        "opensearch": [asdict(host) for host in upstream.hosts()],
    }

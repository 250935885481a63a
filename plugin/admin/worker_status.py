"""`GET /_plugins/_rerank/status`: what a worker's encoder, its breaker and OpenSearch's hosts do now."""

import os
from dataclasses import asdict, dataclass
from typing import Any

import flask

from plugin.admin.responses import JSON, answered
from plugin.encoding.model import Model
from plugin.errors import UpstreamError
from plugin.http.arrival import num_waiting
from plugin.http.caller import caller
from plugin.http.messages import Request
from plugin.upstream.client import Upstream


@dataclass(frozen=True)
class WorkerStatus:
    """The view in front of one OpenSearch."""

    upstream: Upstream
    model: Model

    def register(self, app: flask.Flask, prefix: str) -> None:
        """Add it to an app."""
        app.add_url_rule(f"{prefix}status", "worker status", self.status)

    def status(self) -> flask.Response:
        """The worker that answers, for whoever may ask OpenSearch `GET /`."""
        try:
            asked = self.upstream.exchange("GET", "/", caller(Request.from_environ(flask.request.environ)))
        except UpstreamError:  # it matters most when OpenSearch is away; nothing here is its
            asked = None
        if asked is not None and asked.status in (401, 403):
            return flask.Response(asked.body, asked.status, content_type=JSON)
        return answered(state_of_worker(self.upstream, self.model))


def state_of_worker(upstream: Upstream, model: Model) -> dict[str, Any]:
    """Return what is told of one worker."""
    return {
        "worker": os.getpid(),
        "admission": {
            "in_flight": model.in_flight.number,
            "num_waiting": num_waiting(),
            "service_wait_ms": model.admission.service.least_s() * 1000,
            "encoder_wait_ms": model.admission.encoder.least_s() * 1000,
        },
        "query_encoder": asdict(model.query_vectors.state()),
        "opensearch": [asdict(host) for host in upstream.hosts()],
    }

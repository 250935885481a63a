"""Health: `/health/live`, `/health/ready`, and `/health` for people, told to everybody and without detail."""

from dataclasses import dataclass

import flask

from plugin.admin.readiness import Readiness
from plugin.encoding.model import Model


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
        """200 while the process answers: nobody else is asked, so that no restart follows another's fault."""
        return flask.jsonify({"status": "ok"})

    def ready(self) -> flask.Response:
        """200 while searches can be reranked, else 503 with what is missing."""
        missing = self.readiness.missing()
        if missing:
            return flask.make_response(flask.jsonify({"status": "unavailable", "missing": missing}), 503)
        return flask.jsonify({"status": "ok"})

    def health(self) -> flask.Response:
        """The bundle, and whether OpenSearch answers: 200, or 503 while it does not."""
        reached = self.readiness.opensearch()
        bundle = {"name": self.model.name, "digest": self.model.digest}
        told = {
            "status": "ok" if reached.is_well else "unavailable",
            "bundle": bundle,
            "opensearch": {"status": reached.status},
        }
        return flask.make_response(flask.jsonify(told), 200 if reached.is_well else 503)

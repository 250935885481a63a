"""The endpoints of experiments: GET, PUT and DELETE experiment/INDEX, and GET experiment/INDEX/report."""

from collections.abc import Mapping
from dataclasses import dataclass

import flask

from opensearch.index.experiment import stop_experiment
from opensearch.settings.table import RerankSettings, SettingsError
from plugin.admin.caller_client import open_caller_client
from plugin.admin.responses import build_response, is_flag_set, read_body_object
from plugin.encoding.model import Model
from plugin.experiments.clicks import MAX_CLICKS
from plugin.experiments.lifecycle import describe_settings, read_status, report_experiment, start
from plugin.settings.cache import SettingsCache
from plugin.upstream.client import Upstream


@dataclass(frozen=True)
class ExperimentViews:
    """The endpoints in front of one OpenSearch, which is asked as the caller."""

    upstream: Upstream
    model: Model
    cache: SettingsCache

    def register(self, app: flask.Flask, prefix: str) -> None:
        """Add the endpoints to an app, which knows their errors."""
        path = f"{prefix}experiment/<index>"
        for view, method in ((self.status, "GET"), (self.start, "PUT"), (self.stop, "DELETE")):
            app.add_url_rule(path, f"experiment {method}", view, methods=[method], strict_slashes=False)
        app.add_url_rule(f"{path}/report", "experiment report", self.report, strict_slashes=False)

    def status(self, index: str) -> flask.Response:
        """The experiment of every index behind the name, and how much is recorded of it."""
        with open_caller_client(self.upstream) as client:
            return build_response({each.index: each.as_json() for each in read_status(client, index)})

    def start(self, index: str) -> flask.Response:
        """Start the experiment in the body, and create the indices of UBI if they are missing."""
        experiment = read_body_object()
        with open_caller_client(self.upstream) as client:
            started = start(client, index, experiment, self.model.origin, dry_run=is_flag_set("dry_run"))
        return self._respond(started.settings)

    def stop(self, index: str) -> flask.Response:
        """Stop the experiment; what is recorded stays."""
        with open_caller_client(self.upstream) as client:
            return self._respond(stop_experiment(client, index, dry_run=is_flag_set("dry_run")))

    def report(self, index: str) -> flask.Response:
        """Which arm wins, from `ubi_queries` and `ubi_events`."""
        asked = flask.request.args
        max_clicks = _read_count(asked.get("max_clicks", str(MAX_CLICKS)))
        with open_caller_client(self.upstream) as client:
            report = report_experiment(
                client, index, experiment=asked.get("name"), run=asked.get("run"), max_clicks=max_clicks
            )
        return build_response(report.as_json())

    def _respond(self, changed: Mapping[str, RerankSettings]) -> flask.Response:
        is_dry = is_flag_set("dry_run")
        if not is_dry:
            self.cache.invalidate()
        indices = {name: describe_settings(settings.experiment) for name, settings in changed.items()}
        return build_response({"acknowledged": not is_dry, "indices": indices})


def _read_count(text: str) -> int:
    """Return the number of clicks of one unit that count.

    Raises:
        SettingsError: no whole number from 1.
    """
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text)):
        raise SettingsError(f"max_clicks: expected a whole number from 1, found {text!r}")
    return int(text)

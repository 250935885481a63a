"""The endpoints for administrators under `/_plugins/_rerank/`: each asks OpenSearch as the caller.

GET and PUT settings/INDEX, POST enable/INDEX and disable/INDEX, GET status/INDEX, GET and POST explain/INDEX.
"""

from dataclasses import dataclass
from typing import Any

import flask

from indexer.coverage import ModelIdentity as CoveredModel
from indexer.coverage import measure_coverage
from opensearch.index.enable import EnableRequest, EnableResult, disable, enable
from opensearch.index.settings_report import report_settings
from opensearch.settings.table import encode_settings
from plugin.admin.caller_client import open_caller_client, read_caller_headers
from plugin.admin.responses import (
    STATUSES,
    BodyError,
    build_error_response,
    build_response,
    is_flag_set,
    read_body_object,
)
from plugin.encoding.model import Model
from plugin.errors import UpstreamError
from plugin.experiments.arm_bundles import add_bundle_problems, check_arm_bundles
from plugin.search.explain import Asked, explain, search_handler
from plugin.settings.cache import SettingsCache
from plugin.upstream.client import Upstream


@dataclass(frozen=True)
class AdminViews:
    """The endpoints in front of one OpenSearch."""

    upstream: Upstream
    model: Model
    cache: SettingsCache

    def register(self, app: flask.Flask, prefix: str) -> None:
        """Add the endpoints and their errors to an app."""
        for name, view, methods in (
            ("settings", self.settings, ["GET"]),
            ("settings", self.change, ["PUT"]),
            ("enable", self.enable, ["POST"]),
            ("disable", self.disable, ["POST"]),
            ("status", self.status, ["GET"]),
            ("explain", self.explain, ["GET", "POST"]),
        ):
            app.add_url_rule(
                f"{prefix}{name}/<index>", f"{name} {methods[0]}", view, methods=methods, strict_slashes=False
            )
        for error in (*STATUSES, UpstreamError, BodyError):
            app.register_error_handler(error, build_error_response)

    def settings(self, index: str) -> flask.Response:
        """Every setting, its source and any problems, for every index behind the name."""
        with open_caller_client(self.upstream) as client:
            reports = report_settings(client, index, self.cache.defaults, self.model.defaults)
        reports = add_bundle_problems(reports, self.model.origin)
        return build_response({report.index: report.as_json() for report in reports})

    def change(self, index: str) -> flask.Response:
        """Change the settings in the body; others stay."""
        return self._enable(index, read_body_object())

    def enable(self, index: str) -> flask.Response:
        """Enable reranking with the settings in the body; creates the index if it does not exist."""
        return self._enable(index, read_body_object() | {"enabled": True})

    def _enable(self, index: str, settings: dict[str, Any]) -> flask.Response:
        wanted = EnableRequest(self.model.vectors_of, settings, self.model.defaults)
        dry_run = is_flag_set("dry_run")
        with open_caller_client(self.upstream) as client:
            if "experiment" in settings and self.model.origin is not None:
                for planned in enable(client, index, wanted, dry_run=True):
                    check_arm_bundles(planned.settings, self.model.origin)
            return self._respond(enable(client, index, wanted, dry_run=dry_run), dry_run=dry_run)

    def disable(self, index: str) -> flask.Response:
        """Disable reranking; settings and vectors stay."""
        dry_run = is_flag_set("dry_run")
        with open_caller_client(self.upstream) as client:
            return self._respond(disable(client, index, dry_run=dry_run), dry_run=dry_run)

    def status(self, index: str) -> flask.Response:
        """The share of documents that have vectors, and what to do next."""
        model = CoveredModel(self.model.vectors_of, self.model.model_tag)
        with open_caller_client(self.upstream) as client:
            return build_response(measure_coverage(client, index, model).as_json(model))

    def explain(self, index: str) -> flask.Response:
        """One search, step by step: the body is a search, or the parameter `text` is given."""
        asked = Asked(index, read_body_object() or None, flask.request.args.get("text"))
        with open_caller_client(self.upstream) as client:
            reports = report_settings(client, index, self.cache.defaults, self.model.defaults)
        handler = search_handler(self.upstream, self.cache, self.model)
        return build_response(explain(handler, self.cache, read_caller_headers(), asked, reports))

    def _respond(self, done: list[EnableResult], *, dry_run: bool) -> flask.Response:
        if not dry_run:
            self.cache.invalidate()
        return build_response(
            {"acknowledged": not dry_run, "indices": {each.index: _as_json(each) for each in done}}
        )


def _as_json(enabled: EnableResult) -> dict[str, Any]:
    return {
        "changes": list(enabled.changes),
        "_meta": {"rerank": encode_settings(enabled.settings)},
        "vectors_stale": enabled.vectors_stale,
        "notes": list(enabled.notes),
    }

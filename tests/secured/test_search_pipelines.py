"""Definitions of search pipelines on a secured cluster: the service account reads them with its role."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from opensearch.settings.search_pipeline import SearchPipeline, pipeline_target
from plugin.settings.cluster_view import ClusterView
from plugin.settings.poller import SettingsPoller
from plugin.upstream.client import Upstream
from tests.secured.conftest import ROLES, Secured
from tests.support.http.raw_http import basic
from tests.support.paths import ROOT
from tests.support.waiting import until

pytestmark = pytest.mark.live

ROLE: dict[str, Any] = json.loads((ROOT / "opensearch/deploy/roles/service.json").read_text())


def read_view(secured: Secured, folder: Path) -> ClusterView:
    folder.mkdir()
    headers = tuple(basic("service", secured.password("service")).items())
    with closing(Upstream(secured.url)) as upstream:
        poller = SettingsPoller(upstream, headers, folder, {})
        poller.start()
        until(lambda: poller.view() is not None, "a view")
        poller.stop()
    view = poller.view()
    assert view is not None
    return view


def test_the_deployed_role_reads_pipelines_and_one_without_the_right_only_settings(
    secured: Secured, tmp_path: Path
) -> None:
    made = secured.straight("admin", "PUT", pipeline_target("plain"), {"description": "does nothing"})
    assert made.status == 200, made.body
    try:
        without = read_view(secured, tmp_path / "without")
        assert (without.pipelines, without.find_target("articles") is None) == (None, False)
        secured.set_role("service", ROLE)
        assert read_view(secured, tmp_path / "with").pipelines == {"plain": SearchPipeline()}
    finally:
        secured.set_role("service", ROLES["service"])
        secured.straight("admin", "DELETE", pipeline_target("plain"))

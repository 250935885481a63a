"""The demo in a small form: a server of its own, the tiny bundle, a few docstrings."""

import shutil
from collections.abc import Iterable
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console, RenderableType

from plugin.commands.local_server import make_local_server
from plugin.commands.main import main
from plugin.demo.demo import INDEX, QUERIES, DemoPlan, start_demo, stop_demo
from plugin.demo.report import format_demo
from plugin.harness.proxy_process import ProxyError
from plugin.upstream.search_client import SearchClient, SearchError
from reranker.bundle import Bundle
from tests.support.paths import TINY_BUNDLE


def _plan(folder: Path, bundle: Path) -> DemoPlan:
    server = make_local_server(port=0, folder=folder / "server")
    return DemoPlan(folder, server, Bundle.open(bundle), documents=200, proxy_port=0)


@pytest.mark.live
def test_the_demo_runs_is_left_running_starts_again_and_stops(open_folder: Path) -> None:
    plan, said = _plan(open_folder, TINY_BUNDLE), list[str]()
    try:
        demo = start_demo(plan, said.append)
        assert [orders.query for orders in demo.orders] == list(QUERIES)
        assert any(orders.reranked.status.startswith("applied") for orders in demo.orders)
        with SearchClient(demo.proxy.url) as client:
            assert client.search(INDEX, {"size": 0}).body["hits"]["total"]["value"] == 200
        assert said[3].startswith("200 of them were new")
        again = start_demo(_plan(open_folder, TINY_BUNDLE), said.append)
        assert again.upstream == demo.upstream
        assert said[8].startswith("0 of them were new")
    finally:
        stopped = stop_demo(plan.home, plan.server)
    for left_running in (demo, again):
        left_running.proxy.child.wait()
    assert stopped == ["the proxy", "OpenSearch"]
    with SearchClient(again.proxy.url) as client, pytest.raises(SearchError, match="no answer"):
        client.search(INDEX, {})
    assert stop_demo(plan.home, plan.server) == []
    _check_report(format_demo(again))


def _check_report(report: Iterable[RenderableType]) -> None:
    output = StringIO()
    console = Console(width=120, file=output)
    for part in report:
        console.print(part)
    shown = output.getvalue()
    assert all(query in shown for query in QUERIES)
    assert "What just happened" in shown
    assert "curl -si" in shown


@pytest.mark.live
def test_a_demo_that_fails_leaves_nothing_running(open_folder: Path) -> None:
    bundle = open_folder / "bundle"
    shutil.copytree(TINY_BUNDLE, bundle)
    plan = _plan(open_folder, bundle)
    (bundle / plan.bundle.manifest.query.file).write_bytes(b"damaged")
    with pytest.raises(ProxyError, match="the proxy ended"):
        start_demo(plan, lambda line: None)
    assert not plan.server.status().running


def test_nothing_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINRANK_HOME", str(tmp_path))
    result = CliRunner().invoke(main, ["demo", "--stop"])
    assert (result.exit_code, result.output) == (0, "No demo was running.\n")

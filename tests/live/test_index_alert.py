"""Searches by index: counted as clients were told, and an alert if an index is no longer reranked."""

import json
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from plugin.harness.proxy_process import ProxyProcess, running_proxy
from tests.support.http.raw_http import ask, search
from tests.support.indices.toy_index import ToyIndex
from tests.support.metrics_text import METRICS
from tests.support.paths import ROOT, TINY_BUNDLE

ALERTS = ROOT / "plugin" / "monitoring" / "alerts.json"
ALERT = "TwinrankIndexNotReranked"


@pytest.fixture
def proxy(opensearch_url: str, tmp_path: Path) -> Iterator[ProxyProcess]:
    with running_proxy(opensearch_url, tmp_path, bundle=TINY_BUNDLE) as running:
        yield running


@pytest.fixture
def alias(client: OpenSearch, toy_index: ToyIndex) -> Iterator[str]:
    name = f"alias-{uuid.uuid4().hex}"
    client.indices.put_alias(index=toy_index.name, name=name)
    yield name
    client.indices.delete_alias(index="*", name=name)


@pytest.fixture
def plain_index(client: OpenSearch, toy_index: ToyIndex) -> Iterator[str]:
    """Yield an index with the same field and no settings."""
    name = f"plain-{uuid.uuid4().hex}"
    client.indices.create(index=name, body={"mappings": {"properties": {"text": {"type": "text"}}}})
    yield name
    client.indices.delete(index=name)


def counted(proxy: ProxyProcess) -> dict[tuple[str, str], int]:
    """Return the searches by index and outcome, without zeros."""
    text = ask(proxy.url, "GET", METRICS).body.decode()
    name = r'twinrank_index_searches_total\{index="([^"]*)",outcome="([^"]*)"\}'
    found = re.findall(rf"^{name} ([0-9.e+]+)$", text, re.MULTILINE)
    return {(index, outcome): int(float(value)) for index, outcome, value in found if float(value)}


def msearch(proxy: ProxyProcess, items: list[tuple[dict[str, Any], dict[str, Any]]], target: str) -> None:
    body = "".join(f"{json.dumps(part)}\n" for item in items for part in item).encode()
    answer = ask(proxy.url, "POST", target, body, {"Content-Type": "application/x-ndjson"})
    assert answer.status == 200


@pytest.mark.live
def test_searches_are_counted_by_what_the_client_names(
    proxy: ProxyProcess, toy_index: ToyIndex, alias: str, plain_index: str
) -> None:
    """Each search has a connection of its own, so that both workers answer some."""
    body, sorted_body = {"query": toy_index.query}, {"query": toy_index.query, "sort": ["n"]}
    for _ in range(10):
        assert search(proxy.url, toy_index.name, body).rerank_status.startswith("applied")
        search(proxy.url, toy_index.name, sorted_body)
        search(proxy.url, alias.replace("-", "%2D"), body)
        search(proxy.url, plain_index, body)
    assert search(proxy.url, "no-such-index", body).status == 404
    assert search(proxy.url, toy_index.name, {"query": {"wrong": {}}}).status == 400
    assert search(proxy.url, toy_index.name, {"ext": {"rerank": {"wrong": 1}}}).status == 400
    expected = {
        (toy_index.name, "applied"): 10, (toy_index.name, "skipped"): 10,
        (alias, "applied"): 10, (plain_index, "passed"): 10,
    }  # fmt: skip
    assert counted(proxy) == expected
    template = json.dumps({"source": body}).encode()
    ask(proxy.url, "POST", f"/{alias}/_search/template", template, {"Content-Type": "application/json"})
    msearch(proxy, [({}, body), ({"index": plain_index}, body), ({}, sorted_body)], f"/{alias}/_msearch")
    msearch(proxy, [({"index": plain_index}, body)], "/_msearch")
    expected |= {(alias, "applied"): 12, (alias, "skipped"): 1, (plain_index, "passed"): 12}
    assert counted(proxy) == expected


DAY = 24 * 6
"""Steps of ten minutes."""

Runs = list[tuple[int, int]]
"""Searches a step and steps, in a row."""

SCENES: dict[str, tuple[dict[str, Runs], bool]] = {
    "reranked until yesterday, passed now": ({"applied": [(1, DAY)], "passed": [(0, DAY), (1, DAY)]}, True),
    "reranked until an hour ago": (
        {"applied": [(1, 2 * DAY - 6)], "passed": [(0, 2 * DAY - 6), (1, 6)]}, False,
    ),
    "reranked now too": ({"applied": [(1, 2 * DAY)], "skipped": [(2, 2 * DAY)]}, False),
    "nobody searches it any more": ({"applied": [(1, DAY), (0, DAY)]}, False),
    "never reranked": ({"passed": [(1, 2 * DAY)]}, False),
    "skipped for a reason": ({"applied": [(1, DAY), (0, DAY)], "skipped": [(1, 2 * DAY)]}, True),
}  # fmt: skip
"""Searches by outcome, and whether the alert fires at the end."""


def series(outcome: str, runs: Runs, index: str = "shop") -> dict[str, str]:
    value, values = 0, ["0"]
    for rate, steps in runs:
        values += [str(value + rate * step) for step in range(1, steps + 1)]
        value += rate * steps
    name = f'twinrank_index_searches_total{{index="{index}",outcome="{outcome}",instance="a:9576"}}'
    return {"series": name, "values": " ".join(values)}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool (Debian: prometheus)")
@pytest.mark.parametrize("scene", SCENES)
def test_the_alert_fires_if_an_index_is_no_longer_reranked(scene: str, tmp_path: Path) -> None:
    runs, fires = SCENES[scene]
    summary = (
        "shop was reranked yesterday, and none of its searches of the last two hours was: twinrank settings"
    )
    summary += " shop. A rebuilt index needs twinrank enable."
    alert = {"exp_labels": {"index": "shop", "severity": "warning"}, "exp_annotations": {"summary": summary}}
    inputs = [series(outcome, each) for outcome, each in runs.items()]
    inputs += [series("applied", [(1, DAY), (0, DAY)], "other"), series("passed", [(1, 2 * DAY)], "other")]
    case = {
        "interval": "10m",
        "input_series": inputs,
        "alert_rule_test": [
            {"eval_time": f"{2 * DAY * 10}m", "alertname": ALERT, "exp_alerts": [alert] if fires else []}
        ],
    }
    file = tmp_path / "test.json"
    file.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "10m", "tests": [case]}))
    done = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

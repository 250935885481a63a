"""The table of roles in docs/how-to/secured-clusters.md is exactly what the commands ask of a real server."""

import json
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from plugin.settings.poller import SettingsPoller
from plugin.upstream.client import Upstream
from tests.support.http.recording_relay import recording_relay
from tests.support.index_command import Command, lines
from tests.support.indices.toy_collection import DOCUMENTS, QUERIES
from tests.support.paths import ROOT
from tests.support.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]


def documented() -> dict[str, set[str]]:
    """Return command -> its actions, as the table has them."""
    page = (ROOT / "docs/how-to/secured-clusters.md").read_text()
    table = page.partition("## What each command must be allowed")[2]
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", table.partition("## Roles")[0], re.MULTILINE)
    return {name.replace("`", ""): set(re.findall(r"`([a-z]+:[^`]+)`", actions)) for name, actions in rows}


@pytest.fixture
def asked(opensearch_url: str, index_name: str) -> Callable[..., set[str]]:
    def run(name: str, *arguments: str, data: bytes = b"", has_bundle: bool = True) -> set[str]:
        with recording_relay(opensearch_url) as (url, actions):
            command = Command(url, index_name)
            done = (command if has_bundle else command.run)(name, *arguments, data=data)
        assert done.returncode == 0, done.stderr
        return actions

    return run


def test_each_command_asks_for_what_is_documented(
    asked: Callable[..., set[str]], client: OpenSearch, index_name: str, tmp_path: Path, is_long: bool
) -> None:
    """The short form leaves out the commands that load a model."""
    queries, qrels = tmp_path / "queries.jsonl", tmp_path / "qrels.tsv"
    judged = [(f"{query}-{n}", *rest) for n in (0, 1) for query, rest in QUERIES.items()]
    queries.write_text("".join(json.dumps({"_id": id_, "text": text}) + "\n" for id_, text, _ in judged))
    qrels.write_text("".join(f"{id_}\td{n}\t{g}\n" for id_, _, grades in judged for n, g in grades.items()))
    documents = lines(*({"_id": f"d{n}", "text": text} for n, text in enumerate(DOCUMENTS)))
    found = {
        "enable, new index": asked("enable", "--field", "text", "--set", "deadline_ms=10000"),
        "enable, existing index": asked("enable", "--window-size", "50"),
        "settings": asked("settings", has_bundle=False),
    }
    if is_long:
        client.index(index=index_name, body={"text": "a document for sync, without a vector"})
        found |= {
            "index": asked("index", "-", data=documents),
            "status": asked("status"),
            "explain": asked("explain", "fast dinner"),
            "verify": asked("verify"),
            "estimate": asked("estimate"),
            "sync": asked("sync"),
            "tune": asked("tune", "--queries", str(queries), "--qrels", str(qrels)),
        }
    if is_long:
        client.index(index=index_name, body={"text": "a document for backfill, without a vector"})
        assert asked("backfill", "--slice", "1/1") == found["sync"]
    found["disable"] = asked("disable", has_bundle=False)
    if is_long:
        found["disable --strip"] = asked("disable", "--strip", has_bundle=False) | found["disable"]
    table = documented()
    for name, actions in found.items():
        assert table.get(name) == actions, f"{name}: {sorted(actions)}"


def test_the_poller_asks_for_what_is_documented(
    client: OpenSearch, opensearch_url: str, tmp_path: Path, index_name: str
) -> None:
    client.indices.create(index=index_name)
    with recording_relay(opensearch_url) as (url, actions), closing(Upstream(url)) as upstream:
        poller = SettingsPoller(upstream, (), tmp_path, {})
        poller.start()
        until(lambda: poller.view() is not None, "a view")
        poller.stop()
    assert actions == documented()["the proxy's service account"]

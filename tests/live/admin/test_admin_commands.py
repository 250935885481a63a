"""`twinrank settings`, `disable` and `explain`, each as a process of its own."""

import json
import re

import pytest
from opensearchpy import OpenSearch

from reranker.bundle import Bundle
from tests.support.index_command import Command, lines
from tests.support.paths import TINY_BUNDLE

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

TINY_WEIGHT = Bundle.open(TINY_BUNDLE).manifest.fusion.weight


@pytest.fixture
def command(opensearch_url: str, index_name: str) -> "AdminCommand":
    return AdminCommand(opensearch_url, index_name)


class AdminCommand(Command):
    """Without `--bundle`, which only some commands take."""

    def said(self, name: str, *arguments: str, status: int = 0) -> str:
        done = self.run(name, *arguments)
        assert done.returncode == status, done.stderr
        return done.stdout.decode() + done.stderr.decode()


def test_settings_are_shown_with_their_origin_and_what_is_wrong(
    command: AdminCommand, client: OpenSearch, index_name: str
) -> None:
    command.enabled()
    shown = command("settings").stdout.decode()
    assert "window_size" in shown
    assert re.search(rf"fusion\.weight +{re.escape(str(TINY_WEIGHT))} +model bundle", shown)
    assert re.search(r"migration\.field +not set +default", shown)
    assert "null" not in shown
    assert "index mapping" in shown
    client.indices.put_mapping(index=index_name, body={"_meta": {"rerank": {"model": 1}}})
    assert "_meta.rerank.model: expected a text, found 1" in command.said("settings", status=1)
    report = json.loads(command.run("settings", "--json").stdout)
    assert report[index_name]["settings"] == {}


def test_any_setting_can_be_set_and_a_dry_run_shows_the_mapping(
    command: AdminCommand, client: OpenSearch, index_name: str
) -> None:
    command.enabled()
    shown = command("enable", "--set", "min_coverage=0.5", "--set", "score=fused", "--dry-run")
    assert f"PUT /{index_name}/_mapping" in shown.stdout.decode()
    before = client.indices.get_mapping(index=index_name)
    assert "min_coverage" not in json.dumps(before)
    assert command("enable", "--set", "min_coverage=0.5", "--set", "score=fused").returncode == 0
    rerank = client.indices.get_mapping(index=index_name)[index_name]["mappings"]["_meta"]["rerank"]
    assert (rerank["min_coverage"], rerank["score"]) == (0.5, "fused")
    refused = command("enable", "--set", "min_coverages=0.5")
    assert (refused.returncode, b"did you mean `min_coverage`?" in refused.stderr) == (1, True)
    assert b"Nothing was changed: correct what you set, and try again" in refused.stderr
    weighted = command("enable", "--weight", "3", "--dry-run").stdout.decode()
    assert f"fusion.weight: {TINY_WEIGHT} (default of tiny) -> 3.0" in weighted


def test_disable_keeps_everything_and_strip_takes_the_vectors(
    command: AdminCommand, client: OpenSearch, index_name: str
) -> None:
    command.enabled().load(lines({"_id": "1", "title": "alpha"}, {"_id": "2", "title": "beta"}))
    shown = command.said("disable", "--strip", "--dry-run")
    assert "enabled: true -> false" in shown
    assert f"{index_name}: 2 vectors would be removed" in shown
    assert "vectors" not in command.said("disable", "--dry-run")
    assert "rerank" in client.get(index=index_name, id="1")["_source"]
    command.said("disable")
    rerank = client.indices.get_mapping(index=index_name)[index_name]["mappings"]["_meta"]["rerank"]
    assert rerank == {"model": "tiny", "source_fields": ["title", "text"], "enabled": False}
    assert "rerank" in client.get(index=index_name, id="1")["_source"]
    assert "2 vectors removed, 0 left" in command.said("disable", "--strip", "--documents-per-s", "1000")
    assert client.get(index=index_name, id="1")["_source"] == {"title": "alpha"}
    assert command("enable").returncode == 0, "it can be switched on again"


def test_a_search_is_explained(command: AdminCommand) -> None:
    command.enabled().load(lines({"_id": "1", "title": "alpha"}, {"_id": "2", "title": "alpha beta"}))
    assert command("enable", "--set", "deadline_ms=10000", "--set", "min_coverage=1").returncode == 0
    shown = command("explain", "alpha").stdout.decode()
    for words in (
        "query text  alpha",
        "fusion      log_linear",
        "2 of 2 hits",
        "applied; window=2",
        "crossing",
    ):
        assert words in shown
    steps = json.loads(command("explain", '{"query": {"match_all": {}}}', "--json").stdout)
    assert steps["rerank_status"] == "skipped; reason=query_text"
    wrong = command("explain", "{")
    assert (wrong.returncode, b"a search as JSON" in wrong.stderr) == (2, True)

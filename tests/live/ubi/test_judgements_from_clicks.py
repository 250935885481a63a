"""From searches through the proxy to judgements: what is recorded is what the command reads."""

import json
import uuid
from pathlib import Path

import pytest
from click.testing import CliRunner
from opensearchpy import OpenSearch

from plugin.commands.main import main
from plugin.harness.proxy_process import running_proxy
from plugin.ubi.indices import EVENTS, QUERIES
from reranker.judgements import read_judgement_file
from tests.support.http.raw_http import search
from tests.support.indices.toy_index import ToyIndex
from tests.support.paths import TINY_BUNDLE
from tests.support.ubi_log import UbiLog

pytestmark = pytest.mark.live

SEARCHES = 24


def test_recorded_searches_and_their_clicks_become_judgements(
    client: OpenSearch, toy_index: ToyIndex, ubi_indices: None, tmp_path: Path
) -> None:
    """Everybody clicks the second hit of the second page, and nothing else."""
    run, log = uuid.uuid4().hex, UbiLog(client, QUERIES, EVENTS)
    clicks, shown = [], []
    with running_proxy(toy_index.url, tmp_path, bundle=TINY_BUNDLE) as proxy:
        for n in range(SEARCHES):
            id_ = f"{run}-{n}"
            ubi = {"application": run, "query_id": id_, "user_query": "words", "client_id": f"c{n}"}
            for start in (0, 5):
                body = {"query": toy_index.query, "from": start, "size": 5, "ext": {"ubi": ubi}}
                answer = search(proxy.url, toy_index.name, body)
                shown = [hit["_id"] for hit in json.loads(answer.body)["hits"]["hits"]]
            click = log.record_click(id_, shown[1], f"c{n}")
            clicks.append({**click, "_source": {**click["_source"], "application": run}})
    client.indices.refresh(index=QUERIES)
    log.write(iter(clicks))
    out, records = tmp_path / "out", ["--application", run]
    arguments = ["--out", str(out), "--upstream", toy_index.url, "--json", *records]
    done = CliRunner().invoke(main, ["judgments", toy_index.name, *arguments])
    assert done.exit_code == 0, done.output
    counts = json.loads(done.stdout)
    assert (counts["pages"], counts["clicks"], counts["judged"]) == (2 * SEARCHES, SEARCHES, 10)
    assert (counts["unusable_pages"], counts["clicks_without_impression"]) == (0, 0)
    [grades] = read_judgement_file(out / "judgments.csv").grades.values()
    assert {document: grade for document, grade in grades.items() if grade} == {shown[1]: 1}

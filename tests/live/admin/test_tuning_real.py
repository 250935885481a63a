"""`twinrank tune` on real judged collections, with the shipped bundle (docs/reference/results.md)."""

import json

import pytest
from opensearchpy import OpenSearch

from reranker.bundle import DEFAULT_BUNDLE
from tests.support.index_command import Command
from tests.support.public_data import public_collection

pytestmark = pytest.mark.live
COLLECTIONS = {"cranfield": 225, "cacm": 52}
"""Collection -> its judged queries."""


@pytest.fixture
def command(opensearch_url: str, client: OpenSearch, index_name: str) -> Command:
    analyzed = {"type": "text", "analyzer": "english"}
    properties = {"title": analyzed, "text": analyzed}
    body = {"settings": {"number_of_shards": 1}, "mappings": {"properties": properties}}
    client.indices.create(index=index_name, body=body)
    return Command(opensearch_url, index_name, DEFAULT_BUNDLE, timeout_s=1_200)


@pytest.mark.parametrize("name", COLLECTIONS)
def test_a_real_collection_is_tuned(
    command: Command, name: str, is_long: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """On queries not seen it loses nothing beyond chance, and what it finds beats OpenSearch alone."""
    folder = public_collection(name)
    if not is_long:
        pytest.skip("whole collections are tuned with pytest --long")
    assert command("enable", "--field", "title", "--field", "text").returncode == 0
    indexed = command("index", str(folder / "corpus.jsonl.gz"), "--json")
    assert indexed.returncode == 0, indexed.stderr
    judged = ("--queries", str(folder / "queries.jsonl.gz"), "--qrels", str(folder / "qrels.tsv.gz"))
    done = command("tune", *judged, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    with capsys.disabled():
        print(f"\n{name}: {json.dumps(told)}")  # noqa: T201
    gain, ndcg = told["gain"], told["ndcg@10"]
    assert told["queries"] == COLLECTIONS[name]
    assert gain["low"] <= gain["mean"] <= gain["high"]
    assert gain["mean"] == pytest.approx(ndcg["tuned"] - ndcg["now"])
    assert gain["high"] >= 0, "0 to 0 is what it is where nothing is changed"
    assert min(ndcg["tuned"], ndcg["now"]) > ndcg["first_stage"]
    assert told["is_worth_it"] == (gain["low"] > 0 and told["change"] is not None)

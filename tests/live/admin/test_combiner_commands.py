"""From judged queries to a combiner that a proxy searches with: features, tune and serve."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from plugin.harness.proxy_process import free_port, running_proxy
from reranker.features import FEATURES
from tests.support.http.raw_http import ids, search
from tests.support.index_command import Command, lines
from tests.support.paths import ROOT, TINY_BUNDLE

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

NUM_QUERIES, NUM_HITS = 24, 8
SIGNAL = {"field": "sales", "kind": "log1p", "weight": 0, "scale": 100}


@pytest.fixture
def shop(opensearch_url: str, client: OpenSearch, index_name: str, tmp_path: Path) -> Command:
    """Return a shop: each query has eight hits of equal text, and the one that sells is relevant."""
    client.indices.create(index=index_name, body={"mappings": {"properties": {"sales": {"type": "long"}}}})
    command = Command(opensearch_url, index_name)
    signals = f"fusion.signals={json.dumps([SIGNAL])}"
    enabled = command("enable", "--field", "title", "--field", "text", "--set", signals)
    assert enabled.returncode == 0, enabled.stderr
    documents = [
        {"_id": f"d{query}-{hit}", "title": f"word{query}", "sales": 90 if hit == query % NUM_HITS else hit}
        for query in range(NUM_QUERIES)
        for hit in range(NUM_HITS)
    ]
    command.load(lines(*documents))
    client.indices.refresh(index=index_name)
    queries = [{"_id": f"q{n}", "text": f"word{n}"} for n in range(NUM_QUERIES)]
    (tmp_path / "queries.jsonl").write_bytes(lines(*queries))
    rows = [
        f"q{n}\td{n}-{hit}\t{int(hit == n % NUM_HITS)}"
        for n in range(NUM_QUERIES)
        for hit in {0, NUM_HITS - 1, n % NUM_HITS}
    ]
    (tmp_path / "qrels.tsv").write_text("\n".join(rows) + "\n")
    return command


def judged(folder: Path) -> tuple[str, ...]:
    return "--queries", str(folder / "queries.jsonl"), "--judgments", str(folder / "qrels.tsv")


def test_features_are_printed_for_every_hit(shop: Command, tmp_path: Path) -> None:
    printed = shop("features", *judged(tmp_path))
    assert printed.returncode == 0, printed.stderr
    rows = [json.loads(line) for line in printed.stdout.splitlines()]
    assert len(rows) == NUM_QUERIES * NUM_HITS
    assert all(list(row["features"]) == [*FEATURES, "signal.sales"] for row in rows)
    best = [row for row in rows if row["grade"] == 1]
    assert [row["features"]["signal.sales"] > 0.9 for row in best] == [True] * NUM_QUERIES
    assert {row["query"] for row in rows} == {f"word{n}" for n in range(NUM_QUERIES)}
    few = shop("features", *judged(tmp_path), "--format", "libsvm", "--judged-only", "--queries-limit", "2")
    header, *found = few.stdout.decode().splitlines()
    assert header.startswith("# 1:first_stage 2:first_stage_log ")
    assert header.endswith(f" {len(FEATURES) + 1}:signal.sales")
    assert {line.split()[1] for line in found} == {"qid:1", "qid:2"}
    assert sum(line.startswith("1 ") for line in found) == 2


def test_a_combiner_is_learned_written_and_searched_with(shop: Command, tmp_path: Path) -> None:
    file = tmp_path / "shop.json"
    learned = shop("tune", *judged(tmp_path), "--combiner", "linear", "--output", str(file))
    assert learned.returncode == 0, learned.stderr
    assert b"24 judged queries, nDCG@10" in learned.stdout
    change = f"twinrank enable {shop.index} --set fusion.method=combiner --set fusion.combiner=shop"
    assert change in learned.stdout.decode()
    weights = json.loads(file.read_text())["weights"]
    assert max(weights, key=lambda name: abs(weights[name])) == "signal.sales"
    enabled = shop("enable", "--set", "fusion.method=combiner", "--set", "fusion.combiner=shop")
    assert enabled.returncode == 0, enabled.stderr
    arguments = ["--combiner-file", str(file)]
    with running_proxy(shop.url, tmp_path, bundle=TINY_BUNDLE, arguments=arguments) as proxy:
        for query in (3, 12):
            body = {"query": {"match": {"title": f"word{query}"}}}
            found = search(proxy.url, shop.index, body)
            assert found.rerank_status.startswith("applied")
            assert ids(found)[0] == f"d{query}-{query % NUM_HITS}"
    explained = shop("explain", "word3", "--combiner-file", str(file))
    assert b"fusion      combiner shop" in explained.stdout, explained.stderr
    assert b"outcome     skipped; reason=combiner" in shop("explain", "word3").stdout
    again = shop("features", *judged(tmp_path), "--queries-limit", "1")
    assert again.returncode == 0, "the combiner of the settings is not needed to learn another"


def test_what_is_within_chance_is_not_written(shop: Command, tmp_path: Path) -> None:
    """Judgements that nothing explains: the first hit of OpenSearch is as good as any."""
    rows = [f"q{n}\td{n}-{(n * 5 + 1) % 7}\t1" for n in range(NUM_QUERIES)]
    (tmp_path / "qrels.tsv").write_text("\n".join(rows) + "\n")
    file = tmp_path / "shop.json"
    refused = shop("tune", *judged(tmp_path), "--combiner", "linear", "--output", str(file), "--json")
    assert refused.returncode == 1
    assert b"The gain is within chance, so no combiner was written" in refused.stderr
    assert json.loads(refused.stdout)["is_worth_it"] is False
    assert not file.exists()


def test_a_signals_weight_is_fitted(shop: Command, tmp_path: Path) -> None:
    tuned = shop("tune", *judged(tmp_path), "--json")
    assert tuned.returncode == 0, tuned.stderr
    found = {each["name"]: each for each in json.loads(tuned.stdout)["settings"]}
    signal = found["fusion.signals[0].weight of sales"]
    assert (signal["now"], signal["is_worth_it"]) == (0, True)
    assert signal["best"] > 0
    assert {"0.1", "0.5"} <= found["diversity"]["differences"].keys()


def test_options_of_a_combiner_need_one(shop: Command, tmp_path: Path) -> None:
    refused = shop("tune", *judged(tmp_path), "--judged-only")
    assert refused.returncode == 2
    assert b"are options of --combiner" in refused.stderr


def test_a_proxy_does_not_start_with_a_file_that_is_no_combiner(tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    file.write_text('{"weights": {}}')
    where = ("--listen", str(free_port()), "--bundle", TINY_BUNDLE)
    refused = subprocess.run(
        [sys.executable, "-m", "plugin", "serve", "--combiner-file", file, *where],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert refused.returncode == 1
    assert "bad.json: expected 1 to 1000 weights, found 0" in refused.stderr

"""Fitting weight and window: finds what is there, promises nothing where nothing is, says what it needs."""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from opensearchpy import OpenSearch

from plugin.encoding.model import Model
from plugin.encoding.query_future import QueryFuture
from plugin.evaluation.tune import MIN_QUERIES, Pair, TuningError, Window, tune
from plugin.evaluation.tune_windows import search_windows
from plugin.http.headers import read_credentials
from plugin.search.explain import search_handler
from plugin.settings.cache import SettingsCache
from plugin.upstream.client import Upstream
from reranker.bundle import Bundle
from reranker.query_files import EvaluationQuery
from tests.support.index_command import Command, lines
from tests.support.paths import ROOT, TINY_BUNDLE

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]


def windows(num_queries: int, *, informative: bool) -> tuple[dict[str, Window], dict[str, dict[str, int]]]:
    """Forty hits a query, one relevant: its crossing stands out where that is informative, else its rank."""
    rng = np.random.default_rng(3)
    found, qrels = {}, {}
    for query in map(str, range(num_queries)):
        relevant = int(rng.integers(5, 40)) if informative else min(int(rng.exponential(3)), 39)
        crossing = rng.uniform(0, 0.4, 40).astype(np.float32)
        if informative:
            crossing[relevant] = 0.9
        found[query] = Window([f"d{n}" for n in range(40)], np.linspace(9, 5, 40), crossing)
        qrels[query] = {f"d{n}": int(n == relevant) for n in range(40)}
    return found, qrels


def test_a_weight_that_helps_is_found_and_its_gain_is_beyond_chance() -> None:
    tuned = tune(*windows(60, informative=True), Pair(0.0, 10))
    assert tuned.is_worth_it
    assert tuned.best is not None
    assert tuned.best.weight > 0
    assert tuned.best.window_size >= 50
    assert tuned.tuned > 0.9
    assert tuned.first_stage == tuned.now, "a weight of 0 is the first stage's order"
    assert (tuned.worth.mean, tuned.worth.won, tuned.worth.lost) == (0, 0, 0)
    assert tuned.gain.low <= tuned.gain.mean <= tuned.gain.high


def test_what_the_present_settings_are_worth_is_said_though_nothing_is_better() -> None:
    tuned = tune(*windows(60, informative=True), Pair(20.0, 100))
    assert tuned.best is None
    assert tuned.worth.mean == pytest.approx(tuned.now - tuned.first_stage)
    assert 0 < tuned.worth.low < tuned.worth.mean < tuned.worth.high
    assert tuned.worth.won > tuned.worth.lost
    gains = [query.gain for query in tuned.queries]
    assert (len(gains), sum(gain < 0 for gain in gains)) == (60, tuned.worth.lost)
    assert sum(gains) / len(gains) == pytest.approx(tuned.worth.mean)


def test_noise_is_not_sold_as_a_gain() -> None:
    assert not tune(*windows(60, informative=False), Pair(0.0, 10)).is_worth_it


def test_what_a_single_query_wins_by_luck_changes_nothing() -> None:
    """Of thirty queries one would win by any weight, and one lose a little: the best mean is still luck's."""
    found, qrels = {}, {}
    for query in map(str, range(30)):
        crossing = np.zeros(20, np.float32)
        relevant = 12 if query == "0" else 0
        crossing[12] = 0.9 if query in {"0", "1"} else 0
        found[query] = Window([f"d{n}" for n in range(20)], np.linspace(9, 5, 20), crossing)
        qrels[query] = {f"d{relevant}": 1}
    tuned = tune(found, qrels, Pair(0.0, 10))
    assert tuned.best is None
    assert not tuned.is_worth_it
    assert tuned.gain.lost == tuned.gain.won == 0
    assert tuned.tuned == tuned.now


def test_too_few_judged_queries_are_refused() -> None:
    found, qrels = windows(MIN_QUERIES, informative=True)
    assert tune(found, qrels, Pair(1.0, 100)).num_queries == MIN_QUERIES
    with pytest.raises(TuningError, match=f"at least {MIN_QUERIES} judged queries, found {MIN_QUERIES - 1}"):
        tune(found, dict(list(qrels.items())[1:]), Pair(1.0, 100))


def test_hits_without_vector_and_beyond_the_window_stay() -> None:
    window = Window(["a", "b", "c"], np.array([3.0, 2.0, 1.0]), np.array([np.nan, 0.1, 0.9], np.float32))
    assert window.rerank(Pair(0.0, 10)) == ["a", "b", "c"]
    assert window.rerank(Pair(40.0, 2)) == ["a", "b", "c"]
    assert window.rerank(Pair(40.0, 10))[0] == "c"
    assert Window([], np.array([]), np.array([], np.float32)).rerank(Pair(1.0, 10)) == []


def test_where_nothing_is_better_no_change_is_proposed(
    opensearch_url: str, client: OpenSearch, index_name: str, tmp_path: Path
) -> None:
    """Each query has one hit, so that no weight can do anything."""
    command = Command(opensearch_url, index_name).enabled()
    command.load(lines(*({"_id": f"d{n}", "title": f"word{n}"} for n in range(MIN_QUERIES))))
    client.indices.refresh(index=index_name)
    queries, qrels = tmp_path / "queries.jsonl", tmp_path / "qrels.tsv"
    queries.write_bytes(lines(*({"_id": f"q{n}", "text": f"word{n}"} for n in range(MIN_QUERIES))))
    qrels.write_text("".join(f"q{n}\td{n}\t1\n" for n in range(MIN_QUERIES)))
    judged = ("--queries", str(queries), "--qrels", str(qrels))
    told = command("tune", *judged)
    assert told.returncode == 0, told.stderr
    assert b"No other setting is significantly better: keep the settings as they are" in told.stdout
    assert b"twinrank enable" not in told.stdout
    alone = b"against OpenSearch alone  +0.000 (95 %: +0.000 to +0.000), won 0, lost 0"
    assert alone in told.stdout
    as_json = json.loads(command("tune", *judged, "--json").stdout)
    assert as_json["change"] is None
    assert as_json["is_worth_it"] is False
    assert (as_json["now_against_first_stage"]["mean"], as_json["now_against_first_stage"]["tied"]) == (0, 10)
    assert as_json["ndcg@10"] == {"first_stage": 1.0, "now": 1.0, "tuned": 1.0}


def test_a_machine_that_was_too_busy_is_asked_again(
    opensearch_url: str, client: OpenSearch, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Searches that are refused or late at first are asked for again; none of the queries is lost."""
    Command(opensearch_url, index_name).enabled().load(lines({"_id": "d", "title": "word"}))
    client.indices.refresh(index=index_name)
    model = Model.load(Bundle.open(TINY_BUNDLE))
    refusals = iter(["overloaded", "deadline"] * 3)
    real = model.query_vectors.submit

    def refused(text: str) -> QueryFuture | None:
        reason = next(refusals, None)
        if reason == "deadline":
            return QueryFuture()  # of which nothing ever comes
        return None if reason == "overloaded" else real(text)

    monkeypatch.setattr(model.query_vectors, "submit", refused)
    with closing(Upstream(opensearch_url)) as upstream:
        settings = SettingsCache(upstream, waits_for_coverage=True)
        door = search_handler(upstream, settings, model)
        queries = dict.fromkeys("abcdefghij", EvaluationQuery("word"))
        headers = read_credentials(opensearch_url)
        found = dict(search_windows(door, settings, headers, index_name, queries, ["title"]))
    assert {query: window.ids for query, window in found.items()} == {query: ["d"] for query in queries}


def test_without_judgements_the_command_says_what_it_needs(opensearch_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "plugin", "tune", "x", "--upstream", opensearch_url, "--bundle", TINY_BUNDLE],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "needs judgements" in done.stderr
    assert '{"_id": "q1", "text": "how to wait a bit"}' in done.stderr

"""Fitting weight and window: finds what is there, promises nothing where nothing is, says what it needs."""

import subprocess
import sys

import numpy as np
import pytest

from plugin.tuning import MIN_QUERIES, Pair, TuningError, Window, tune
from tests.conftest import TINY_BUNDLE
from tests.index_command import ROOT

pytestmark = pytest.mark.live


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
    assert tuned.best.weight > 0
    assert tuned.best.window_size >= 50
    assert tuned.tuned > 0.9
    assert tuned.first_stage == tuned.now, "a weight of 0 is the first stage's order"
    assert tuned.gain.low <= tuned.gain.mean <= tuned.gain.high


def test_noise_is_not_sold_as_a_gain() -> None:
    assert not tune(*windows(60, informative=False), Pair(0.0, 10)).is_worth_it


def test_too_few_judged_queries_are_refused() -> None:
    found, qrels = windows(MIN_QUERIES, informative=True)
    assert tune(found, qrels, Pair(1.0, 100)).num_queries == MIN_QUERIES
    with pytest.raises(TuningError, match=f"at least {MIN_QUERIES} judged queries, found {MIN_QUERIES - 1}"):
        tune(found, dict(list(qrels.items())[1:]), Pair(1.0, 100))


def test_hits_without_vector_and_beyond_the_window_stay() -> None:
    window = Window(["a", "b", "c"], np.array([3.0, 2.0, 1.0]), np.array([np.nan, 0.1, 0.9], np.float32))
    assert window.reranked(Pair(0.0, 10)) == ["a", "b", "c"]
    assert window.reranked(Pair(40.0, 2)) == ["a", "b", "c"]
    assert window.reranked(Pair(40.0, 10))[0] == "c"
    assert Window([], np.array([]), np.array([], np.float32)).reranked(Pair(1.0, 10)) == []


def test_without_judgements_the_command_says_what_it_needs(opensearch_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "plugin", "tune", "x", "--upstream", opensearch_url, "--bundle", TINY_BUNDLE],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "needs judgements" in done.stderr
    assert '{"_id": "q1", "text": "how to wait a bit"}' in done.stderr

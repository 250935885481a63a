"""Settings beside weight and window: what helps is found, what does not is left, and the cost is said."""

from dataclasses import replace

import numpy as np
import pytest

from opensearch.settings.fusion import FusionSettings
from opensearch.settings.signals import SignalSettings
from opensearch.settings.table import RerankSettings
from plugin.evaluation.tune import Pair, Window
from plugin.evaluation.tune_settings import (
    list_signal_trials,
    make_diversity_trial,
    make_probability_trial,
    tune_settings,
)
from reranker.feature_table import FeatureTable
from reranker.signals import Signal, log_factors

PAIR = Pair(0.0, 20)
NUM_HITS = 20
Windows = dict[str, Window]
Qrels = dict[str, dict[str, float]]


def make_windows(num_queries: int = 40) -> tuple[Windows, Qrels]:
    """Return windows with one relevant hit: it sells well, and unlikely hits stand above it."""
    random = np.random.default_rng(1)
    windows, qrels = {}, {}
    for query in map(str, range(num_queries)):
        relevant = int(random.integers(4, NUM_HITS))
        ids = [f"d{n}" for n in range(NUM_HITS)]
        # noise that changed the order would help: the relevant hit is never among the first
        sales, noise = random.uniform(0, 0.8, NUM_HITS), random.uniform(0, 0.001, NUM_HITS)
        sales[relevant] = 1.0
        probability = np.where(np.arange(NUM_HITS) < relevant, 0.01, 0.6).astype(np.float32)
        probability[0] = np.nan
        table = FeatureTable(("crossing", "signal.sales", "signal.noise"), np.stack([noise, sales, noise]))
        windows[query] = Window(
            ids, np.linspace(9, 8, NUM_HITS), np.zeros(NUM_HITS, np.float32), ids, table, probability
        )
        qrels[query] = {id_: float(n == relevant) for n, id_ in enumerate(ids)}
    return windows, qrels


def with_signals() -> RerankSettings:
    kinds = {"kind": "saturation", "pivot": 1.0, "weight": 0.0}
    signals = tuple(SignalSettings(field, **kinds) for field in ("sales", "noise"))  # type: ignore[arg-type]
    return RerankSettings("m", ("t",), fusion=FusionSettings(signals=signals))


def test_a_signal_that_helps_gets_a_weight_and_noise_gets_none() -> None:
    windows, qrels = make_windows()
    sales, noise = tune_settings(list_signal_trials(with_signals(), PAIR), windows, qrels)
    assert sales.name == "fusion.signals[0].weight of sales"
    assert (sales.best, sales.is_worth_it) == (0.5, True), "larger ones are no better"
    assert sales.gain.mean > 0.3
    assert sales.differences[-1.0].mean <= 0 < sales.differences[1.0].mean
    assert not noise.is_worth_it


@pytest.mark.parametrize("weight", [-1.0, 2.0])
def test_a_trial_orders_as_the_proxy_does(weight: float) -> None:
    windows, _ = make_windows(1)
    window = windows["0"]
    (trial, _) = list_signal_trials(with_signals(), PAIR)
    assert window.features is not None
    sales = window.features.select(["signal.sales"])[:, 0]
    signal = Signal("decay", weight, 0.5, 1.0, 0.0)  # its s of a distance d is 0.5 ** d
    fused = np.log(window.first_stage) + log_factors(signal, -np.log2(sales))
    expected = [window.ids[place] for place in np.argsort(-fused, kind="stable")]
    assert list(trial.order_by(weight)("0", window)) == expected


def test_unlikely_hits_go_last_except_those_without_a_vector() -> None:
    windows, qrels = make_windows()
    trial = make_probability_trial(None, PAIR)
    order = list(trial.order_by(0.5)("0", windows["0"]))
    assert order[0] == "d0", "it has no vector, so no probability"
    assert qrels["0"][order[1]] == 1.0
    [found] = tune_settings([trial], windows, qrels)
    assert found.is_worth_it
    assert found.best is not None
    assert 0.01 < found.best <= 0.5


def test_what_lies_beyond_the_window_stays_behind_it() -> None:
    windows, _ = make_windows(1)
    window = replace(windows["0"], probability=np.where(np.arange(NUM_HITS) < 5, 0.0, 1.0).astype(np.float32))
    found = list(make_probability_trial(None, Pair(0.0, 8)).order_by(0.5)("0", window))
    assert found == [f"d{n}" for n in (5, 6, 7, 0, 1, 2, 3, 4, *range(8, NUM_HITS))]


def test_the_cost_of_diversity_is_that_of_its_own_searches() -> None:
    windows, qrels = make_windows()
    worse = {query: replace(window, shown=window.ids[::-1]) for query, window in windows.items()}
    better = {
        query: replace(window, shown=sorted(window.ids, key=lambda id_: -qrels[query][id_]))
        for query, window in windows.items()
    }
    [found] = tune_settings([make_diversity_trial(0.0, {0.0: windows, 0.3: worse})], windows, qrels)
    assert found.now == 0.0
    assert found.differences.keys() == {0.3}
    [gained] = tune_settings([make_diversity_trial(0.0, {0.0: windows, 0.5: better})], windows, qrels)
    assert (gained.best, gained.is_worth_it) == (0.5, True)


def test_a_query_that_only_some_searches_answered_counts_as_nothing_found() -> None:
    windows, qrels = make_windows()
    some = dict(list(windows.items())[1:])
    [found] = tune_settings([make_diversity_trial(0.0, {0.0: windows, 0.3: some})], windows, qrels)
    assert found.differences[0.3].lost <= 1

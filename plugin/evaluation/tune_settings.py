"""Fit the settings beside weight and window, one at a time: signals' weights, least probability, diversity.

Each is tried at several values with everything else as it is. As for weight and window, the present value
stays unless another one leads by more than a standard error, and the gain is that on unseen queries.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from opensearch.settings.table import RerankSettings
from plugin.evaluation.measures import Difference, Qrels, compare, measure
from plugin.evaluation.tune import Pair, Window, choose_row, cross_validate
from reranker.arrays import Floats64
from reranker.features import SIGNAL_PREFIX

SIGNAL_WEIGHTS = (-2.0, -1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
PROBABILITIES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
DIVERSITIES = (0.0, 0.1, 0.2, 0.3, 0.5)

Order = Callable[[str, Window], Sequence[str]]
"""A query's id and its window to ids, best first."""


@dataclass(frozen=True)
class Trial:
    """A setting with its present value and others; `order_by` returns the order that a value gives."""

    name: str
    now: float
    values: tuple[float, ...]
    order_by: Callable[[float], Order]


@dataclass(frozen=True)
class TunedSetting:
    """What a setting brings: `best` is chosen on all queries, None if the present value is as good.

    `gain` is that of the chosen value on unseen queries, and `differences` are those of each value to the
    present one on all queries.
    """

    name: str
    now: float
    best: float | None
    gain: Difference
    differences: Mapping[float, Difference]

    @property
    def is_worth_it(self) -> bool:
        """Whether there is something to change, and the gain's interval lies above chance."""
        return self.best is not None and self.gain.low > 0


def tune_settings(trials: Iterable[Trial], windows: Mapping[str, Window], qrels: Qrels) -> list[TunedSetting]:
    """Fit each setting on the queries that `qrels` judges."""
    judged = {query: qrels[query] for query in windows if query in qrels}
    return [_tune_setting(trial, windows, judged) for trial in trials]


def list_signal_trials(settings: RerankSettings, pair: Pair) -> list[Trial]:
    """Return a trial for each signal of the settings, whose windows have features."""
    signals = settings.fusion.signals

    def order_with(number: int, weight: float) -> Order:
        weights = [weight if each == number else signal.weight for each, signal in enumerate(signals)]
        return lambda _, window: window.rerank(pair, _add_signals(window, weights))

    return [
        Trial(
            f"fusion.signals[{number}].weight of {signal.field}",
            signal.weight,
            SIGNAL_WEIGHTS,
            lambda weight, number=number: order_with(number, weight),  # type: ignore[misc]
        )
        for number, signal in enumerate(signals)
    ]


def make_probability_trial(now: float | None, pair: Pair) -> Trial:
    """Return the trial of `min_probability`, whose hits below it go last."""

    def order_by(least: float) -> Order:
        return lambda _, window: _demote(window, pair, least)

    return Trial("min_probability", now or 0.0, PROBABILITIES, order_by)


def make_diversity_trial(now: float, shown: Mapping[float, Mapping[str, Window]]) -> Trial:
    """Return the trial of `diversity`; `shown` has the windows that were searched with each value."""

    def order_by(diversity: float) -> Order:
        return lambda query, _: shown[diversity][query].shown if query in shown[diversity] else []

    return Trial("diversity", now, tuple(shown), order_by)


def _tune_setting(trial: Trial, windows: Mapping[str, Window], judged: Qrels) -> TunedSetting:
    values = [trial.now, *(value for value in trial.values if value != trial.now)]
    tried = np.array([_measure(trial.order_by(value), windows, judged) for value in values])
    chosen = choose_row(tried)
    return TunedSetting(
        trial.name,
        trial.now,
        values[chosen] if chosen else None,
        compare(tried[0], cross_validate(tried)),
        {value: compare(tried[0], row) for value, row in zip(values[1:], tried[1:], strict=True)},
    )


def _measure(order: Order, windows: Mapping[str, Window], judged: Qrels) -> Floats64:
    return measure(judged, {query: order(query, windows[query]) for query in judged}).ndcg


def _add_signals(window: Window, weights: Sequence[float]) -> Floats64:
    """Return (num_hits,) the sum of the logarithms of all signals' factors."""
    total = np.zeros(len(window.ids))
    if window.features is None:
        return total
    names = [name for name in window.features.names if name.startswith(SIGNAL_PREFIX)]
    for weight, values in zip(weights, window.features.select(names).T, strict=True):
        total += weight * values if weight >= 0 else -weight * (1 - values)
    return total


def _demote(window: Window, pair: Pair, least: float) -> list[str]:
    order = window.rerank(pair, window.signals)
    unlikely = {
        id_ for id_, value in zip(window.ids, window.probability.tolist(), strict=True) if value < least
    }
    size = min(pair.window_size, len(order))
    inside, beyond = order[:size], order[size:]
    last = [id_ for id_ in inside if id_ in unlikely]
    return [*(id_ for id_ in inside if id_ not in unlikely), *last, *beyond]

"""Fit the fusion weight and the window on judged queries, and measure the gain on unseen queries.

Every query is searched once, over the widest window; each pair of weight and window is then tried on the
result. The best of eighty pairs is partly luck, so the current pair stays unless another one leads by more
than a standard error. The gain is measured by cross-validation: each fifth of the queries is ranked with the
pair chosen on the other four. Both: Hastie, Tibshirani, Friedman: The Elements of Statistical Learning,
section 7.10.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from plugin.errors import CommandError
from plugin.evaluation.measures import Difference, Qrels, compare, measure
from plugin.evaluation.query_result import PairedQuery
from reranker.arrays import Floats, Floats64, Positions
from reranker.feature_table import FeatureTable
from reranker.fusion import choose_fusion
from reranker.rerank import rank

WEIGHTS = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 40.0)
WINDOWS = (10, 20, 50, 100, 200)
FOLDS = 5
MIN_QUERIES = 10
"""With fewer judged queries nothing can be said about unseen queries."""


class TuningError(CommandError):
    """There is too little to tune with: says what is needed."""


@dataclass(frozen=True)
class Pair:
    """The pair of settings that is fitted."""

    weight: float
    window_size: int


@dataclass(frozen=True)
class Window:
    """One query's hits in first-stage order.

    `first_stage` is (num_hits,) float64; `crossing` is (num_hits,) float32, NaN for a hit without a usable
    vector. `shown` are the ids in the order of the search's own settings. `features` are there if they were
    asked for. `probability` is (num_hits,) float32, NaN without a usable vector; `signals` is (num_hits,)
    float64, the logarithms of the factors of the settings' signals, None without signals.
    """

    ids: Sequence[str]
    first_stage: Floats64
    crossing: Floats
    shown: Sequence[str] = ()
    features: FeatureTable | None = None
    probability: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    signals: Floats64 | None = None

    def rerank(self, pair: Pair, signals: Floats64 | None = None) -> list[str]:
        """Return the ids in the order that `log_linear` gives with this pair, and with signals."""
        size = min(pair.window_size, len(self.ids))
        if not size:
            return []
        fuse = choose_fusion("log_linear", pair.weight, 60)
        fused = rank(self.first_stage[:size], self.crossing[:size], fuse).fused
        if signals is not None:
            fused = fused + signals[:size]
        order = np.argsort(-fused, kind="stable").tolist()
        return [self.ids[place] for place in (*order, *range(size, len(self.ids)))]


@dataclass(frozen=True)
class Tuned:
    """The result: means over the queries of nDCG@10, for the first stage, the current and the tuned pair.

    `worth` is the paired difference of the current settings to the first stage. `tuned` is the
    cross-validated mean, `gain` its paired difference to the current settings, and `best` the pair chosen
    on all queries; None if the current pair is as good, but for chance.
    """

    num_queries: int
    first_stage: float
    now: float
    tuned: float
    worth: Difference
    gain: Difference
    best: Pair | None
    queries: tuple[PairedQuery, ...] = ()
    """Every query in OpenSearch's order and with the current settings."""

    @property
    def is_worth_it(self) -> bool:
        """Whether there is something to change, and the gain's interval lies above chance."""
        return self.best is not None and self.gain.low > 0


def tune(
    windows: Mapping[str, Window], qrels: Qrels, now: Pair, texts: Mapping[str, str] | None = None
) -> Tuned:
    """Fit on these queries, which `qrels` judges; `texts` is query id -> text.

    Raises:
        TuningError: fewer than MIN_QUERIES queries are judged.
    """
    judged = {query: qrels[query] for query in windows if query in qrels}
    if len(judged) < MIN_QUERIES:
        raise TuningError(
            f"expected at least {MIN_QUERIES} judged queries, found {len(judged)}:"
            " a query id must be in both files, and its text in a script that the model reads"
        )
    longest = max(len(window.ids) for window in windows.values())
    pairs = [now, *(Pair(weight, size) for size in _select_sizes(longest) for weight in WEIGHTS)]

    def ndcg(order: Callable[[Window], Sequence[str]]) -> Floats64:
        return measure(judged, {query: order(windows[query]) for query in judged}).ndcg

    tried = np.array([ndcg(lambda window, pair=pair: window.rerank(pair, window.signals)) for pair in pairs])  # type: ignore[misc]
    before, first_stage = tried[0], ndcg(lambda window: window.ids)
    unseen, chosen = cross_validate(tried), choose_row(tried)
    return Tuned(
        num_queries=len(judged),
        first_stage=float(first_stage.mean()),
        now=float(before.mean()),
        tuned=float(unseen.mean()),
        worth=compare(first_stage, before),
        gain=compare(before, unseen),
        best=pairs[chosen] if chosen else None,
        queries=tuple(
            PairedQuery(query, (texts or {}).get(query, ""), *values)
            for query, *values in zip(judged, first_stage.tolist(), before.tolist(), strict=True)
        ),
    )


def _select_sizes(longest: int) -> list[int]:
    """Return the windows that differ from one another: none beyond the first that holds every hit."""
    return [size for place, size in enumerate(WINDOWS) if place == 0 or WINDOWS[place - 1] < longest]


def choose_row(tried: Floats64) -> int:
    """Return the row of `tried`, (num_pairs, num_queries), with the best mean, or 0.

    The first row is the current pair. It stays if the best one's lead over it, query by query, is at most one
    standard error of that lead's mean.
    """
    best = int(tried.mean(axis=1).argmax())
    lead = tried[best] - tried[0]
    standard_error = lead.std(ddof=1) / np.sqrt(len(lead))
    return best if lead.mean() > standard_error else 0


def split_folds(num_queries: int) -> list[Positions]:
    """Return FOLDS parts of the queries' numbers, always the same, so that a run can be repeated."""
    return np.array_split(np.random.default_rng(0).permutation(num_queries), FOLDS)


def cross_validate(tried: Floats64) -> Floats64:
    """Return (num_queries,) values, each of the pair chosen on the other folds.

    `tried` is (num_pairs, num_queries).
    """
    num_queries = tried.shape[1]
    unseen = np.zeros(num_queries)
    for fold in split_folds(num_queries):
        others = np.setdiff1d(np.arange(num_queries), fold)
        unseen[fold] = tried[choose_row(tried[:, others]), fold]
    return unseen

"""Learn a combiner from judged queries, and measure it on queries that it has not seen.

`linear` fits a weight for each feature so that of two hits of one query the better judged one has the higher
value: logistic loss over pairs, each weighted by what swapping the two would change in DCG (RankNet and
LambdaRank: Burges, From RankNet to LambdaRank to LambdaMART, 2010). `lightgbm` is LambdaMART with small
trees, since a few hundred queries teach no large ones. Both see a hit that nobody judged as one of grade 0,
as nDCG does, unless unjudged hits are left out.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize

from plugin.errors import CommandError
from plugin.evaluation.measures import Difference, compare, measure
from plugin.evaluation.query_result import PairedQuery
from plugin.evaluation.tune import MIN_QUERIES, TuningError, Window, split_folds
from reranker.arrays import Floats64
from reranker.combiner import Combiner
from reranker.combiner_files import parse_combiner
from reranker.extras import missing_package
from reranker.feature_table import FeatureTable

KINDS = ("linear", "lightgbm")

SMOOTHING = 0.01
"""Weight of the squared length of the linear weights, of standardised features, beside the mean loss."""

MAX_PAIRS = 1000
"""Pairs of one query at most: more of them say the same again."""

NUM_TREES = 60

TREES = {
    "objective": "lambdarank",
    "learning_rate": 0.1,
    "num_leaves": 8,
    "min_data_in_leaf": 100,
    "lambda_l2": 10.0,
    "feature_fraction": 0.7,
    "lambdarank_truncation_level": 15,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,  # there is too little to share
    "seed": 0,
    "verbose": -1,
}


@dataclass(frozen=True)
class Example:
    """The hits of one judged query.

    `grades` is (num_hits,) float64. `ids` and features are in first-stage order too, and `shown` in that of
    the present settings.
    """

    ids: Sequence[str]
    shown: Sequence[str]
    features: FeatureTable
    grades: Floats64

    def order(self, combiner: Combiner) -> list[str]:
        """Return the ids in a combiner's order."""
        values = combiner(self.features.select(combiner.features))
        return [self.ids[place] for place in np.argsort(-values, kind="stable").tolist()]


@dataclass(frozen=True)
class Learned:
    """The result: means over the queries of nDCG@10, and the combiner that all queries teach.

    `unseen` is the mean of queries whose combiner was learned from the others. `worth` is the present
    settings' paired difference to the first stage, `gain` that of unseen queries to the present settings.
    """

    num_queries: int
    first_stage: float
    now: float
    unseen: float
    worth: Difference
    gain: Difference
    against_first_stage: Difference
    content: bytes
    queries: tuple[PairedQuery, ...] = ()

    @property
    def is_worth_it(self) -> bool:
        """Whether the gain's interval lies above chance."""
        return self.gain.low > 0


def learn(
    kind: str,
    windows: Mapping[str, Window],
    grades: Mapping[str, Mapping[str, float]],
    texts: Mapping[str, str],
    *,
    model: str,
    judged_only: bool = False,
) -> Learned:
    """Learn a combiner of one of KINDS.

    Args:
        kind: linear, or lightgbm.
        windows: query id -> its hits with their features.
        grades: query id -> document id -> grade.
        texts: query id -> text.
        model: that of the index, which the combiner is for.
        judged_only: whether unjudged hits are left out, of learning and of measuring.

    Raises:
        CommandError: lightgbm is not installed.
        TuningError: too few judged queries, or none has hits of different grades.
    """
    qrels = {query: grades[query] for query in windows if query in grades}
    if len(qrels) < MIN_QUERIES:
        raise TuningError(f"expected at least {MIN_QUERIES} judged queries, found {len(qrels)}")
    names = next(each.features.names for each in windows.values() if each.features is not None)
    examples = [_make_example(windows[query], names, qrels[query], judged_only) for query in qrels]
    fit = _find_learner(kind, names, model)

    def ndcg(orders: Sequence[Sequence[str]]) -> Floats64:
        return measure(qrels, dict(zip(qrels, orders, strict=True))).ndcg

    first_stage, now = ndcg([each.ids for each in examples]), ndcg([each.shown for each in examples])
    unseen = ndcg(_order_unseen(examples, fit))
    return Learned(
        num_queries=len(qrels),
        first_stage=float(first_stage.mean()),
        now=float(now.mean()),
        unseen=float(unseen.mean()),
        worth=compare(first_stage, now),
        gain=compare(now, unseen),
        against_first_stage=compare(first_stage, unseen),
        content=fit(examples),
        queries=tuple(
            PairedQuery(query, texts.get(query, ""), *values)
            for query, *values in zip(qrels, now.tolist(), unseen.tolist(), strict=True)
        ),
    )


def _order_unseen(examples: Sequence[Example], fit: Callable[[Sequence[Example]], bytes]) -> list[list[str]]:
    """Return each query's order by a combiner that was learned from the other folds."""
    orders: list[list[str]] = [[] for _ in examples]
    for fold in split_folds(len(examples)):
        held_out = set(fold.tolist())
        combiner = parse_combiner(fit([each for n, each in enumerate(examples) if n not in held_out]))
        for number in held_out:
            orders[number] = examples[number].order(combiner)
    return orders


def _make_example(
    window: Window, names: tuple[str, ...], grades: Mapping[str, float], judged_only: bool
) -> Example:
    kept = [place for place, id_ in enumerate(window.ids) if not judged_only or id_ in grades]
    ids = [window.ids[place] for place in kept]
    shown = [id_ for id_ in window.shown if not judged_only or id_ in grades]
    values = np.zeros((len(names), 0)) if window.features is None else window.features.values[:, kept]
    return Example(
        ids, shown, FeatureTable(names, values), np.array([grades.get(id_, 0.0) for id_ in ids], np.float64)
    )


def _find_learner(kind: str, names: Sequence[str], model: str) -> Callable[[Sequence[Example]], bytes]:
    """Return what learns a combiner's file from examples."""

    def fit(examples: Sequence[Example]) -> bytes:
        taught = [each for each in examples if len(np.unique(each.grades)) > 1]
        if not taught:
            raise TuningError("expected hits of different grades in one window, found none")
        found = _fit_linear(taught, names) if kind == "linear" else _fit_trees(taught, names)
        return json.dumps({"twinrank": {"model": model}, **found}).encode()

    return fit


def _fit_linear(examples: Sequence[Example], names: Sequence[str]) -> dict[str, Any]:
    """Return a weight for each feature that differs between hits of one query."""
    random = np.random.default_rng(0)
    pairs = [_make_pairs(each, random) for each in examples]
    differences = np.concatenate([each for each, _ in pairs])
    importance = np.concatenate([each for _, each in pairs])
    importance /= importance.sum()
    scale = np.sqrt(np.mean(differences**2, axis=0))
    used = scale > 1e-12
    standardised = differences[:, used] / scale[used]

    def loss(weights: Floats64) -> tuple[float, Floats64]:
        margin = standardised @ weights
        value = importance @ np.logaddexp(0, -margin) + SMOOTHING * weights @ weights
        slope = -importance / (1 + np.exp(np.clip(margin, -500, 500)))
        return float(value), slope @ standardised + 2 * SMOOTHING * weights

    found = minimize(loss, np.zeros(int(used.sum())), jac=True, method="L-BFGS-B").x / scale[used]
    chosen = [name for name, is_used in zip(names, used.tolist(), strict=True) if is_used]
    return {"weights": dict(zip(chosen, found.tolist(), strict=True))}


def _make_pairs(example: Example, random: np.random.Generator) -> tuple[Floats64, Floats64]:
    """Return (num_pairs, num_features) of better minus worse, and (num_pairs,) what each pair counts.

    A swap of two hits is worth the difference of their grades times that of their ranks' discounts, as part
    of the ideal DCG: every query's judgements then count about the same.
    """
    grades = example.grades
    better, worse = np.nonzero(grades[:, None] > grades[None, :])
    if len(better) > MAX_PAIRS:
        chosen = random.choice(len(better), MAX_PAIRS, replace=False)
        better, worse = better[chosen], worse[chosen]
    places = {id_: place for place, id_ in enumerate(example.shown)}
    ranks = np.array([places.get(id_, len(places)) for id_ in example.ids])
    discounts = 1 / np.log2(2 + ranks)
    ideal = float(np.sort(grades)[::-1][:10] @ (1 / np.log2(2 + np.arange(min(10, len(grades))))))
    swap = (grades[better] - grades[worse]) * np.abs(discounts[better] - discounts[worse]) / max(ideal, 1e-9)
    values = example.features.values.T
    return values[better] - values[worse], swap + 1e-6


def _fit_trees(examples: Sequence[Example], names: Sequence[str]) -> dict[str, Any]:
    """Return what LightGBM dumps of its trees.

    Raises:
        CommandError: it is not installed.
    """
    try:
        import lightgbm
    except ModuleNotFoundError as error:
        raise CommandError(missing_package("twinrank tune --combiner lightgbm", "combiner", error)) from error
    gains, labels = np.unique(np.concatenate([each.grades for each in examples]), return_inverse=True)
    data = lightgbm.Dataset(
        np.concatenate([each.features.values.T for each in examples]),
        labels,
        group=[len(each.ids) for each in examples],
        feature_name=[f"f{column}" for column in range(len(names))],  # it takes no dots and the like
    )
    parameters = {**TREES, "label_gain": (gains - gains.min()).tolist()}  # linear, as nDCG's are here
    dumped = lightgbm.train(parameters, data, num_boost_round=NUM_TREES).dump_model()
    kept = ("name", "version", "num_class", "num_tree_per_iteration", "objective", "tree_info")
    return {**{name: dumped[name] for name in kept}, "feature_names": list(names)}

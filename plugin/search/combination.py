"""A window's features, and the order that a combiner makes of them."""

from collections.abc import Mapping, Sequence

import numpy as np

from opensearch.fields.ltr_log import read_logged_features
from opensearch.fields.vector_field import Hit
from opensearch.search.plan import Plan
from plugin.search.adjustments import find_exact
from plugin.search.signals import squash_signals
from reranker.arrays import Floats, Floats64
from reranker.combiner import Combiner, combine
from reranker.crossing import Crossing
from reranker.errors import CombinerError
from reranker.feature_table import FeatureTable
from reranker.features import LOGGED_PREFIX, SIGNAL_PREFIX, FeatureInput, compute_features
from reranker.rerank import Ranking
from reranker.window_vectors import WindowVectors

METHOD = "combiner"
"""The fusion method that stands for a combiner."""


def find_combiner(combiners: Mapping[str, Combiner], name: str | None, model: str) -> Combiner:
    """Return the combiner of a name, for the vectors of a model.

    Raises:
        CombinerError: there is none, or it was fitted with another model.
    """
    combiner = None if name is None else combiners.get(name)
    if combiner is None:
        known = ", ".join(combiners) or "none"
        raise CombinerError(f"expected a combiner that this proxy has ({known}), found {name!r}")
    if combiner.model not in (None, model):
        raise CombinerError(f"expected a combiner for {model}, found {name!r} for {combiner.model}")
    return combiner


def build_features(
    plan: Plan,
    hits: Sequence[Hit],
    first_stage: Floats64,
    *,
    query: Floats,
    vectors: WindowVectors,
    crossing: Crossing,
    weight: float,
) -> FeatureTable:
    """Return the features of a window of at least one hit.

    Args:
        plan: the search's.
        hits: the window's, in first-stage order.
        first_stage: (num_hits,) float64.
        query: (dim,) float32, a unit vector.
        vectors: the window's.
        crossing: the bundle's crossing layer.
        weight: the bundle's own fusion weight.

    Raises:
        ScoresError: first-stage scores that are negative or not finite.
    """
    exact = find_exact(plan, hits) if plan.settings.keep_exact else np.zeros(len(hits), np.bool_)
    others = dict(zip(_name_signals(plan), squash_signals(plan, hits), strict=True))
    if plan.reads_logged_features:
        logged = read_logged_features(hits)
        others |= {f"{LOGGED_PREFIX}{name}": np.array(values, np.float64) for name, values in logged.items()}
    return compute_features(
        FeatureInput(first_stage, query, vectors, crossing, weight, plan.query_text, exact, others)
    )


def rank_combined(
    ranking: Ranking, plan: Plan, features: FeatureTable, combiners: Mapping[str, Combiner]
) -> Ranking:
    """Return a window's order by the combiner that its plan names.

    Raises:
        CombinerError: it cannot be used here.
    """
    return combine(ranking, find_combiner(combiners, plan.fusion.combiner, plan.settings.model), features)


def _name_signals(plan: Plan) -> list[str]:
    """Return the features' names: the field's, with a number from the second signal of a field on."""
    names: list[str] = []
    for signal in plan.fusion.signals:
        name = f"{SIGNAL_PREFIX}{signal.field.name}"
        same = sum(each == name or each.startswith(f"{name}#") for each in names)
        names.append(f"{name}#{same + 1}" if same else name)
    return names

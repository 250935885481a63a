"""A combiner: a learned function of a hit's features that orders a window in place of a fusion.

It is data, never code: a weight for each feature, or the trees of a gradient-boosted model as LightGBM writes
them. `reranker.combiner_files` reads both.
"""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from reranker.arrays import Booleans, Floats64, Positions
from reranker.errors import CombinerError
from reranker.feature_table import FeatureTable
from reranker.rerank import Ranking

ZERO = 1e-35
"""LightGBM's: a smaller value is a zero."""


class Combiner(Protocol):
    """A function from features to a value, higher is better.

    `features` are the names of the columns that it takes; `model` is the bundle whose vectors it was fitted
    with, None if that is not known.
    """

    @property
    def kind(self) -> str:
        """The name of its form, for people."""
        ...

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the columns that it takes."""
        ...

    @property
    def model(self) -> str | None:
        """The `model` of the indices that it was fitted on, None if that is not known."""
        ...

    def __call__(self, values: Floats64) -> Floats64:
        """Return (num_hits,) float64 for (num_hits, num_features) float64."""
        ...


@dataclass(frozen=True)
class LinearCombiner:
    """A weight for each feature: (num_features,) float64."""

    features: tuple[str, ...]
    weights: Floats64
    model: str | None = None
    kind: str = "linear"

    def __call__(self, values: Floats64) -> Floats64:
        """Return (num_hits,) float64 for (num_hits, num_features) float64."""
        found: Floats64 = values @ self.weights
        return found


@dataclass(frozen=True)
class TreeCombiner:
    """Trees whose values are added up. All their nodes are in one list, each tree's together.

    A leaf's children are itself, so that a walk stays that has reached it. A hit goes left if its feature is
    at most the threshold; if it is missing, as `missing_left` says.

    Attributes:
        features: names of the columns.
        roots: (num_trees,) intp, the trees' first nodes.
        feature: (num_nodes,) intp; a leaf's is 0.
        children: (2 * num_nodes,) intp, the left and the right one of each node.
        threshold: (num_nodes,) float64.
        zero_is_missing, nan_is_missing, missing_left: (num_nodes,) bool.
        value: (num_nodes,) float64, 0 for a node that is no leaf.
        depth: of the deepest leaf.
        model: as for every combiner.
    """

    features: tuple[str, ...]
    roots: Positions
    feature: Positions
    children: Positions
    threshold: Floats64
    zero_is_missing: Booleans
    nan_is_missing: Booleans
    missing_left: Booleans
    value: Floats64
    depth: int
    model: str | None = None
    kind: str = "lightgbm"

    def __call__(self, values: Floats64) -> Floats64:
        """Return (num_hits,) float64 for (num_hits, num_features) float64; all trees are walked at once."""
        num_hits = len(values)
        is_plain = not self.zero_is_missing.any() and bool(np.isfinite(values).all())
        flat, hits = np.ascontiguousarray(values.T).ravel(), np.arange(num_hits)
        cells = self.feature * num_hits  # where each node's feature begins in `flat`
        nodes = np.repeat(self.roots[:, None], num_hits, axis=1)
        for _ in range(self.depth):
            found = flat.take(cells.take(nodes) + hits)
            goes_right = found > self.threshold.take(nodes)
            if not is_plain:
                goes_right = self._decide_missing(nodes, found, goes_right)
            nodes = self.children.take(2 * nodes + goes_right)
        total: Floats64 = self.value.take(nodes).sum(axis=0)
        return total

    def _decide_missing(self, nodes: Positions, found: Floats64, goes_right: Booleans) -> Booleans:
        """Return the decisions with those of missing values; a NaN that is not missing counts as 0."""
        is_nan = np.isnan(found)
        decided = np.where(is_nan, self.threshold[nodes] < 0, goes_right)
        is_zero = is_nan | (np.abs(found) <= ZERO)
        is_missing = (self.nan_is_missing[nodes] & is_nan) | (self.zero_is_missing[nodes] & is_zero)
        return np.where(is_missing, ~self.missing_left[nodes], decided)


def combine(ranking: Ranking, combiner: Combiner, table: FeatureTable) -> Ranking:
    """Order a window by a combiner's values, ties in first-stage order; `fused` becomes those values.

    Raises:
        CombinerError: the window lacks a feature, or a value is not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        values = combiner(table.select(combiner.features))
    if not np.isfinite(values).all():
        raise CombinerError("expected finite values of the combiner, found others")
    order = np.argsort(-values, kind="stable")
    return replace(ranking, order=order, fused=values, similarity=None, neighbours=None, features=table)

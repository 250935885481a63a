"""A combiner: a learned function of a hit's features that orders a window in place of a fusion.

It is data, never code: a weight for each feature, or the trees of a gradient-boosted model as LightGBM writes
them. `reranker.combiner_files` reads both.
"""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from reranker.arrays import Booleans, Floats64
from reranker.errors import CombinerError
from reranker.feature_table import FeatureTable
from reranker.rerank import Ranking

Integers = npt.NDArray[np.int32]

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

    A leaf's `left` and `right` are its own number, so that a walk that has reached it stays. A hit goes left
    if its feature is at most the threshold; where it is missing, as `missing_left` says.

    Attributes:
        features: names of the columns.
        roots: (num_trees,) the trees' first nodes.
        feature, left, right: (num_nodes,) int32; a leaf's feature is 0.
        threshold: (num_nodes,) float64.
        zero_is_missing, nan_is_missing, missing_left: (num_nodes,) bool.
        value: (num_nodes,) float64, 0 for a node that is no leaf.
        depth: of the deepest leaf.
        model: as for every combiner.
    """

    features: tuple[str, ...]
    roots: Integers
    feature: Integers
    left: Integers
    right: Integers
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
        rows = np.arange(len(values))[None, :]
        nodes = np.repeat(self.roots[:, None], len(values), axis=1)
        is_plain = not self.zero_is_missing.any() and bool(np.isfinite(values).all())
        for _ in range(self.depth):
            found = values[rows, self.feature[nodes]]
            goes_left = found <= self.threshold[nodes]
            if not is_plain:
                goes_left = self._decide_missing(nodes, found, goes_left)
            nodes = np.where(goes_left, self.left[nodes], self.right[nodes])
        total: Floats64 = self.value[nodes].sum(axis=0)
        return total

    def _decide_missing(self, nodes: Integers, found: Floats64, goes_left: Booleans) -> Booleans:
        """Return the decisions with those of missing values; a NaN that is not missing counts as 0."""
        is_nan = np.isnan(found)
        zero_goes_left = self.threshold[nodes] >= 0
        decided = np.where(is_nan, zero_goes_left, goes_left)
        is_zero = is_nan | (np.abs(found) <= ZERO)
        is_missing = (self.nan_is_missing[nodes] & is_nan) | (self.zero_is_missing[nodes] & is_zero)
        return np.where(is_missing, self.missing_left[nodes], decided)


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

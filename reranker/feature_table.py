"""The features of a window's hits: what a combiner learns an order from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reranker.arrays import Floats64
from reranker.errors import CombinerError


@dataclass(frozen=True)
class FeatureTable:
    """Features of the hits of one window.

    `values` is (num_features, num_hits) float64, hits in first-stage order; every value is finite.
    """

    names: tuple[str, ...]
    values: Floats64

    def select(self, names: Sequence[str]) -> Floats64:
        """Return the features of these names: (num_hits, len(names)) float64.

        Raises:
            CombinerError: there is no feature of such a name.
        """
        rows = {name: row for row, name in enumerate(self.names)}
        for name in names:
            if name not in rows:
                raise CombinerError(f"expected one of the features {', '.join(self.names)}; found {name!r}")
        return self.values[[rows[name] for name in names]].T

    def describe_hit(self, position: int) -> dict[str, float]:
        """Return one hit's features by name."""
        return dict(zip(self.names, self.values[:, position].tolist(), strict=True))


def join_features(parts: Sequence[tuple[str, Floats64]]) -> FeatureTable:
    """Return a table of (num_hits,) features with their names, at least one."""
    return FeatureTable(tuple(name for name, _ in parts), np.stack([values for _, values in parts]))

"""Fewer inner units in a tower's layers: those that matter least go, and the others make up for them.

A layer's second linear layer sums what its inner units found, so that a unit can be taken out and the weights
of the others changed such that the sums on real texts change least. Which unit, and how, is Optimal Brain
Surgeon's (Hassibi and Stork 1993), by whole units as in ZipLM (Kurtic et al., arXiv 2302.04089): with
C = E[h h^T] of the units' outputs h and P = C^-1, taking out unit j of the weights W adds |W_j|^2 / P_jj to
the squared error, and W - W_j P_j / P_jj are the best weights left.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from model_export.base import Base
from model_export.errors import TrainingError
from model_export.model.tower import Tower
from model_export.train import first_token
from model_export.train.projection import mean_cosine
from model_export.train.vectors import cut, encoded
from reranker.encoder import Ids

RIDGE = 1e-3
"""What is added to the diagonal of C, in shares of its mean: units that always agree have no inverse."""

ROWS = 4096
"""Tokens that are added up at once."""

Moments = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Narrowed:
    """The base with fewer inner units, and the mean cosine of texts held back to its vectors before."""

    base: Base
    cosine: float


def narrowed(
    base: Base, texts: Sequence[str], *, inner_units: int, tokenizer: Path, max_tokens: int
) -> Narrowed:
    """Leave each layer of the query tower of `base` so many inner units, by the first half of `texts`.

    Raises:
        TrainingError: there are no more units than that, no texts, or one tower is for both sides.
    """
    there: int = base.query.bert.config.intermediate_size
    if not 0 < inner_units < there:
        raise TrainingError(f"expected fewer inner units than the {there} of the base, found {inner_units}")
    if len(texts) < 2 or base.is_shared:
        raise TrainingError(
            f"expected 2 texts or more and a query tower of its own, found {len(texts)}"
            f" and {'one tower for both sides' if base.is_shared else 'that'}"
        )
    ids = cut(base.query, tokenizer, texts, prefix=base.query_prefix, max_tokens=max_tokens)
    middle = len(ids) // 2
    tower = _without_units(base.query, second_moments(base.query, ids[:middle]), inner_units)
    cosine = mean_cosine(encoded(tower, ids[middle:]), encoded(base.query, ids[middle:]))
    return Narrowed(replace(base, query=tower), cosine)


def second_moments(tower: Tower, batch: Sequence[Ids]) -> list[Moments]:
    """Return each layer's E[h h^T] of its inner units and a constant 1: (units + 1, units + 1) each."""
    seen = [_Moments() for _ in range(tower.num_layers)]
    hooks = [
        layer.get_submodule("output.dense").register_forward_pre_hook(each)
        for layer, each in zip(tower.bert.encoder.layer, seen, strict=True)
    ]
    try:
        with torch.no_grad():
            for ids in batch:
                first_token.encode(tower, [ids])
    finally:
        for hook in hooks:
            hook.remove()
    return [each.mean() for each in seen]


class _Moments:
    """Looks on at a layer's second linear layer, as a hook, and adds up what comes in."""

    def __init__(self) -> None:
        self._sum: Moments | float = 0.0
        self._count = 0
        self._waiting: list[npt.NDArray[np.float32]] = []

    def __call__(self, _: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self._waiting.append(inputs[0].flatten(end_dim=1).numpy())
        if sum(len(each) for each in self._waiting) >= ROWS:
            self._add()

    def mean(self) -> Moments:
        self._add()
        return np.asarray(self._sum) / self._count

    def _add(self) -> None:
        if self._waiting:
            rows = np.concatenate(self._waiting).astype(np.float64)
            rows = np.hstack([rows, np.ones((len(rows), 1))])
            self._sum = self._sum + rows.T @ rows
            self._count += len(rows)
            self._waiting.clear()


def best_without(weights: Moments, moments: Moments, units: int) -> tuple[npt.NDArray[np.intp], Moments]:
    """Take out all but `units` units one by one: -> the numbers of those left, and their weights.

    `weights` are (outputs, all units + 1), the bias last, which is never taken out; `moments` are
    (all units + 1, all units + 1).
    """
    changed, size = weights.copy(), len(moments) - 1
    ridge = RIDGE * np.trace(moments[:size, :size]) / size
    inverse = np.linalg.inv(moments + ridge * np.diag([*np.ones(size), 0.0]))
    left = np.ones(size, bool)
    for _ in range(size - units):
        errors = (changed[:, :size] ** 2).sum(axis=0) / np.maximum(np.diag(inverse)[:size], 1e-300)
        out = int(np.argmin(np.where(left, errors, np.inf)))
        row = inverse[out] / inverse[out, out]
        changed -= np.outer(changed[:, out], row)
        inverse -= np.outer(inverse[:, out], row)
        left[out] = False
        changed[:, out] = inverse[out] = inverse[:, out] = 0.0
    kept = np.flatnonzero(left)
    return kept, changed[:, [*kept, size]]


def _without_units(tower: Tower, moments: Sequence[Moments], units: int) -> Tower:
    changed = copy.deepcopy(tower)
    for layer, seen in zip(changed.bert.encoder.layer, moments, strict=True):
        inner: Any = layer.get_submodule("intermediate.dense")
        outer: Any = layer.get_submodule("output.dense")
        weights = torch.cat([outer.weight, outer.bias[:, None]], dim=1).detach().double().numpy()
        kept, found = best_without(weights, seen, units)
        _set(inner, inner.weight.detach()[kept], inner.bias.detach()[kept])
        values = torch.from_numpy(found.astype(np.float32))
        _set(outer, values[:, :-1], values[:, -1])
    changed.bert.config.intermediate_size = units
    return changed


def _set(linear: nn.Linear, weight: torch.Tensor, bias: torch.Tensor) -> None:
    linear.out_features, linear.in_features = weight.shape
    linear.weight, linear.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())

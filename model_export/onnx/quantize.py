"""Linear layers as 7-bit integers, smoothed so that activations can be integers too.

Seven bits, because AVX2 without VNNI adds two u8 x s8 products in 16 bits: 2 * 255 * 63 still fits, so every
CPU computes the same. Smoothing moves an input channel's range from the activations into the weights,
because one wide channel would make all others coarser (SmoothQuant, arXiv 2211.10438, equation 4).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from model_export.model.reference import encode_in_torch
from model_export.model.tower import Tower
from reranker.arrays import Floats
from reranker.encoder import Ids

LARGEST = 63
"""Largest magnitude of an integer weight."""

UNEVEN = 4.0
"""An embedding table's columns are scaled if one of them is this many times as large as the median."""

COLUMN_ALPHA = 0.75
"""The scaling's exponent: of 0.5, 0.75 and 1 the one with the least error for states after nine layers, 0.6
instead of 1.9 % of a row."""

_SAME_INPUT = ("query", "key", "value")
"""Parts of an attention that read the same input, and count as one layer."""


@dataclass(frozen=True)
class DenseLayer:
    """A linear layer: y = x W^T + b, weight (outputs, inputs), bias (outputs,), float32."""

    name: str
    weight: Floats
    bias: Floats


@dataclass(frozen=True)
class QuantisedLayer:
    """A linear layer in integers: y = ((x / divisor) integers^T) * scales + bias.

    integers (outputs, inputs) int8 in -63..63, scales (outputs,), divisor (inputs,) float32.
    """

    integers: npt.NDArray[np.int8]
    scales: Floats
    divisor: Floats


def quantise_layer(dense: DenseLayer, peaks: Floats, alpha: float) -> QuantisedLayer:
    """Quantise a layer, by output channel; `peaks` (inputs,) are its input channels' largest values.

    `alpha`, 0 to 1, is the share of a channel's range that moves into the weights; 0 moves nothing.
    """
    divisor = _find_divisor(dense.weight, peaks, alpha) if alpha else np.ones_like(peaks)
    weight = dense.weight * divisor
    scales = np.maximum(np.abs(weight).max(axis=1), 1e-12) / LARGEST
    integers = np.rint(weight / scales[:, None]).astype(np.int8)
    return QuantisedLayer(integers, scales.astype(np.float32), divisor.astype(np.float32))


def find_column_divisor(table: Floats) -> Floats | None:
    """Return the divisors of a table's columns before quantisation: (rows, dim) -> (dim,), or None.

    A row has one scale, set by its largest value. If some columns are much larger than most, as in a model's
    inner states, that scale is too coarse for the others. If all are alike, the result is None.
    """
    reach = np.sqrt((table.astype(np.float64) ** 2).mean(axis=0))
    if reach.max() <= UNEVEN * np.median(reach):
        return None
    factors: Floats = (np.maximum(reach, 1e-6) ** COLUMN_ALPHA).astype(np.float32)
    return factors


def quantise_rows(table: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """Quantise an embedding table (rows, dim) by row: -> int8 of the same shape, scales (rows, 1)."""
    scales = np.maximum(np.abs(table).max(axis=1, keepdims=True), 1e-12) / 127
    return np.rint(table / scales).astype(np.int8), scales.astype(np.float32)


def measure_peaks(tower: Tower, batch: Sequence[Ids]) -> dict[str, Floats]:
    """Run token ids through torch and record the largest |input| by channel: layer name -> (inputs,).

    Query, key and value read the same input and count as one layer, `attention.self.qkv`.
    """
    found: dict[str, Floats] = {}
    hooks = [
        module.register_forward_pre_hook(_make_hook(_name_layer(name), found))
        for name, module in tower.bert.named_modules()
        if isinstance(module, torch.nn.Linear)
    ]
    try:
        encode_in_torch(tower, batch)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _find_divisor(weight: Floats, peaks: Floats, alpha: float) -> Floats:
    reach = np.maximum(np.abs(weight).max(axis=0), 1e-4)
    divisor = np.maximum(peaks, 1e-3) ** alpha / reach ** (1 - alpha)
    normalised: Floats = divisor / np.exp(np.log(divisor).mean())
    return normalised


def _name_layer(name: str) -> str:
    head, _, part = name.rpartition(".")
    return f"{head}.qkv" if head.endswith("attention.self") and part in _SAME_INPUT else name


def _make_hook(
    name: str, found: dict[str, Floats]
) -> Callable[[torch.nn.Module, tuple[torch.Tensor, ...]], None]:
    def record(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        reach: Floats = inputs[0].detach().abs().amax(dim=(0, 1)).numpy()
        found[name] = np.maximum(found[name], reach) if name in found else reach

    return record

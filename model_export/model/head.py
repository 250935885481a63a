"""What a folder's model does with a pooled vector: linear layers, lengths of 1, fewer dimensions."""

from collections.abc import Mapping

import torch
from torch import nn

from model_export.errors import ExportError

ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
}
"""Names of activations that a graph can compute, and torch's modules."""


class DenseStage(nn.Module):
    """y = activation(x W^T + b): (batch, inputs) -> (batch, outputs). The bias may be None."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, activation: str) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ExportError(f"expected an activation of {tuple(ACTIVATIONS)}, found {activation!r}")
        self.linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
        self.linear.weight = nn.Parameter(weight, requires_grad=False)
        if bias is not None:
            self.linear.bias = nn.Parameter(bias, requires_grad=False)
        self.activation = activation
        self._activate = ACTIVATIONS[activation]()

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Compute (batch, inputs) -> (batch, outputs)."""
        activated: torch.Tensor = self._activate(self.linear(vectors))
        return activated


class NormalizeStage(nn.Module):
    """Vectors of length 1: (batch, dim) -> (batch, dim)."""

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Compute (batch, dim) -> (batch, dim)."""
        return nn.functional.normalize(vectors, dim=1)


class CutStage(nn.Module):
    """The first `dim` values of a vector: all that a Matryoshka model needs."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Compute (batch, wide) -> (batch, dim)."""
        return vectors[:, : self.dim]


Stage = DenseStage | NormalizeStage | CutStage


def find_dim(stages: "nn.ModuleList | tuple[Stage, ...]", wide: int) -> int:
    """Return the dimension of vectors of `wide` values after these stages."""
    dim = wide
    for stage in stages:
        if isinstance(stage, DenseStage):
            dim = stage.linear.out_features
        elif isinstance(stage, CutStage):
            dim = stage.dim
    return dim

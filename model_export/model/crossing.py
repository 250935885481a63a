"""The crossings in torch, for training; `reranker.crossing` runs the same formulas in searches."""

import math

import torch
from torch import nn

from reranker import crossing as runtime


class CosineCrossing(nn.Module):
    """z = scale * cos(q, k) + offset, p = sigmoid(z); both numbers are learned.

    Source: TwinBERT (arXiv 2002.06275), equations 4 and 5.
    """

    name = "cosine"

    def __init__(self, scale: float = 20.0, offset: float = -14.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))
        self.offset = nn.Parameter(torch.tensor(offset))

    def score(self, queries: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
        """Return the crossing score, the cosine: two (..., dim) of unit vectors -> (...)."""
        return (queries * documents).sum(dim=-1)

    def forward(self, queries: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
        """Return the logit z: (..., dim) and (..., dim), broadcast -> (...)."""
        return self.scale * self.score(queries, documents) + self.offset

    def to_runtime(self) -> runtime.Cosine:
        """Return the layer that searches run."""
        return runtime.Cosine(self.scale.item(), self.offset.item())


class ResidualCrossing(nn.Module):
    """x = max(q, k), r = W1 relu(W0 x + b0) + b1, z = W2 relu(r + x) + b2, p = softmax(z)[1].

    W0 (hidden, dim), W1 (dim, hidden), W2 (2, dim). `forward` gives z[1] - z[0], the logit of p.
    Source: TwinBERT (arXiv 2002.06275), section 3.3; `hidden` is a parameter because a small one is cheaper.
    """

    name = "residual"

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.inner = nn.Linear(dim, hidden)
        self.outer = nn.Linear(hidden, dim)
        self.classes = nn.Linear(dim, 2)
        # Unit vectors have components of about 1/sqrt(dim): scale them to the usual size.
        with torch.no_grad():
            self.inner.weight.mul_(math.sqrt(dim))
            self.classes.weight.mul_(math.sqrt(dim))
            self.outer.weight.div_(math.sqrt(dim))
            self.outer.bias.zero_()

    def forward(self, queries: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
        """Return the logit: (..., dim) and (..., dim), broadcast -> (...)."""
        x = torch.maximum(queries, documents)
        block = self.outer(self.inner(x).relu())
        z = self.classes((block + x).relu())
        logits: torch.Tensor = z[..., 1] - z[..., 0]
        return logits

    def score(self, queries: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
        """Return the crossing score, which is the logit."""
        logits: torch.Tensor = self(queries, documents)
        return logits

    def to_runtime(self) -> runtime.Residual:
        """Return the layer that searches run."""
        layers = (self.inner, self.outer, self.classes)
        arrays = [p.detach().cpu().numpy() for layer in layers for p in (layer.weight, layer.bias)]
        return runtime.Residual(*arrays)


CROSSINGS = ("cosine", "residual")
TrainedCrossing = CosineCrossing | ResidualCrossing

"""Poolings: a text's token states become one vector (TwinBERT, section 3.2).

`skipped` tokens at a text's beginning count for nothing: the first special ones and a prompt, in models that
learned so.
"""

import torch
from torch import nn

from model_export.errors import ExportError


class Cls(nn.Module):
    """The first token's state: (batch, tokens, hidden) -> (batch, hidden)."""

    name = "cls"

    def __init__(self, skipped: int = 0) -> None:
        super().__init__()
        self.skipped = skipped

    def forward(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Pool `states` (batch, tokens, hidden); `mask` (batch, tokens) is not used."""
        return states[:, self.skipped]


class Last(nn.Module):
    """The state of the last token that is not padding: -> (batch, hidden). Padding is on the right."""

    name = "last"
    skipped = 0

    def forward(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Pool `states` (batch, tokens, hidden), whose texts end where `mask` (batch, tokens) does."""
        return states[torch.arange(len(states), device=states.device), mask.sum(dim=1) - 1]


class Mean(nn.Module):
    """The mean of the states of all tokens but padding: -> (batch, hidden)."""

    name = "mean"

    def __init__(self, skipped: int = 0) -> None:
        super().__init__()
        self.skipped = skipped

    def weigh_positions(self, tokens: int) -> torch.Tensor:
        """Return each position's weight in the mean: (tokens,) float32."""
        return (torch.arange(tokens) >= self.skipped).float()

    def forward(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Pool those of `states` (batch, tokens, hidden) for which `mask` (batch, tokens) is 1."""
        weights = self.weigh_positions(states.shape[1]).to(states)
        kept = mask.unsqueeze(2).to(states.dtype) * weights[:, None]
        return (states * kept).sum(dim=1) / kept.sum(dim=1)


class PositionMean(Mean):
    """The mean in which a token counts by its position: the first once, the second twice, and so on."""

    name = "position_mean"

    def weigh_positions(self, tokens: int) -> torch.Tensor:
        """Return each position's weight in the mean: (tokens,) float32."""
        return super().weigh_positions(tokens) * torch.arange(1, tokens + 1)


class Weighted(nn.Module):
    """A learned weighted mean: weights softmax_t(w . h_t) over the tokens, v = sum_t weight_t h_t.

    `score.weight` is (1, hidden). Source: TwinBERT (arXiv 2002.06275), weighted-average pooling.
    """

    name = "weighted"
    skipped = 0

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.score = nn.Linear(hidden, 1, bias=False)
        nn.init.normal_(self.score.weight, std=0.02)

    def forward(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Pool those of `states` (batch, tokens, hidden) for which `mask` (batch, tokens) is 1."""
        scores = self.score(states).masked_fill(mask.unsqueeze(2) == 0, torch.finfo(states.dtype).min)
        pooled: torch.Tensor = (states * scores.softmax(dim=1)).sum(dim=1)
        return pooled


POOLINGS = ("cls", "mean", "weighted")
"""Poolings that a model may be trained with."""

Pooling = Cls | Last | Mean | Weighted


def check_pooling(name: str) -> None:
    """Check the name of a pooling that has no weights of its own.

    Raises:
        ExportError: it is neither `cls` nor `mean`.
    """
    if name not in ("cls", "mean"):
        raise ExportError(f"expected the pooling to be cls or mean, found {name!r}")


def make_pooling(name: str, hidden: int) -> Pooling:
    """Return a new pooling of this name, for a model that may be trained.

    Raises:
        ExportError: no such pooling has this name.
    """
    if name == "weighted":
        return Weighted(hidden)
    if name in ("cls", "mean"):
        return Cls() if name == "cls" else Mean()
    raise ExportError(f"expected the pooling to be one of {POOLINGS}, found {name!r}")

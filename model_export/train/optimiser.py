"""The optimiser: AdamW, or Muon for the matrices and AdamW for the rest."""

from typing import Any

import torch
from torch import nn

from model_export.train.config import RunSection

WEIGHT_DECAY = 0.01


class Optimiser:
    """One or two of torch's optimisers, stepped together, each with its own highest learning rate.

    Muon (Jordan et al. 2024; torch.optim.Muon) makes each step of a matrix an orthogonal one. It is for the
    matrices between hidden states, so the embeddings' tables stay with AdamW, as do biases and scales.
    """

    def __init__(self, module: nn.Module, run: RunSection) -> None:
        tables = {id(each.weight) for each in module.modules() if isinstance(each, nn.Embedding)}
        weights = [weight for weight in module.parameters() if weight.requires_grad]
        matrices = [
            weight
            for weight in weights
            if run.optimiser == "muon" and weight.ndim == 2 and id(weight) not in tables
        ]
        taken = {id(weight) for weight in matrices}
        rest = [weight for weight in weights if id(weight) not in taken]
        self._rated: list[tuple[torch.optim.Optimizer, float]] = []
        if matrices:
            muon = torch.optim.Muon(matrices, lr=run.muon_rate, weight_decay=WEIGHT_DECAY)
            self._rated.append((muon, run.muon_rate))
        if rest:
            adam = torch.optim.AdamW(rest, lr=run.learning_rate, weight_decay=WEIGHT_DECAY)
            self._rated.append((adam, run.learning_rate))

    def step(self, share: float) -> None:
        """Change the weights by their gradients, at this share of the highest learning rates."""
        for each, rate in self._rated:
            for group in each.param_groups:
                group["lr"] = rate * share
            each.step()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for each, _ in self._rated:
            each.zero_grad()

    def state_dict(self) -> list[dict[str, Any]]:
        """Return what `load_state_dict` takes."""
        return [each.state_dict() for each, _ in self._rated]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Go on from an earlier state."""
        for (each, _), state in zip(self._rated, states, strict=True):
            each.load_state_dict(state)

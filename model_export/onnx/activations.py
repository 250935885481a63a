"""How far each input channel of each linear layer reaches on sample texts."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from model_export.model.reference import torch_embeddings
from model_export.model.tower import Tower
from reranker.arrays import Floats
from reranker.encoder import Ids

_PARTS = ("query", "key", "value")


def peaks(tower: Tower, batch: Sequence[Ids]) -> dict[str, Floats]:
    """Run token ids through torch and note the largest |input| by channel: layer name -> (inputs,).

    Query, key and value see the same input and count as one layer, `attention.self.qkv`.
    """
    found: dict[str, Floats] = {}
    hooks = [
        module.register_forward_pre_hook(_noting(_joined(name), found))
        for name, module in tower.bert.named_modules()
        if isinstance(module, torch.nn.Linear)
    ]
    try:
        torch_embeddings(tower, batch)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _joined(name: str) -> str:
    head, _, part = name.rpartition(".")
    return f"{head}.qkv" if head.endswith("attention.self") and part in _PARTS else name


def _noting(
    name: str, found: dict[str, Floats]
) -> Callable[[torch.nn.Module, tuple[torch.Tensor, ...]], None]:
    def note(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        reach: Floats = inputs[0].detach().abs().amax(dim=(0, 1)).numpy()
        found[name] = np.maximum(found[name], reach) if name in found else reach

    return note

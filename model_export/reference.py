"""What the original says: torch, in float32, one text at a time."""

from collections.abc import Sequence

import torch

from model_export.base import Base
from model_export.quantize import Floats


def torch_embeddings(base: Base, batch: Sequence[list[int]]) -> Floats:
    """Encode token ids with torch: -> (len(batch), dim) float32 unit vectors."""
    with torch.no_grad():
        vectors = [_embedding(base, torch.tensor([ids])) for ids in batch]
    stacked: Floats = torch.stack(vectors).numpy()
    return stacked


def _embedding(base: Base, ids: torch.Tensor) -> torch.Tensor:
    hidden = base.model(ids).last_hidden_state[0]
    pooled = hidden[0] if base.pooling == "cls" else hidden.mean(dim=0)
    return torch.nn.functional.normalize(pooled, dim=0)

"""Self-attention with a bias for the distance of two tokens, as MPNet has it (arXiv 2004.09297)."""

import math
from typing import Any

import torch
from torch import nn

NUM_BUCKETS, MAX_DISTANCE = 32, 128
"""What MPNet's own code computes with, whatever its configuration says."""


class RelativeAttention(nn.Module):
    """softmax(q k^T / sqrt(d) + bias) v: `bias` (heads, 2 max_tokens - 1) is of distances, the least first.

    All layers of a model have one bias, which is no weight of theirs.
    """

    bias: torch.Tensor

    def __init__(self, own: Any, bias: torch.Tensor) -> None:  # noqa: ANN401  # transformers' attention
        super().__init__()
        self.query, self.key, self.value = own.query, own.key, own.value
        self.num_attention_heads: int = own.num_attention_heads
        self.layer_idx: int = own.layer_idx
        self.register_buffer("bias", bias, persistent=False)

    def forward(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, **_: object
    ) -> tuple[torch.Tensor, None]:
        """Return the context (batch, tokens, hidden), as transformers' own does, and no weights."""
        batch, tokens, hidden = hidden_states.shape
        query, key, value = (
            layer(hidden_states).view(batch, tokens, self.num_attention_heads, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        places = torch.arange(tokens, device=hidden_states.device)
        distances = places[None, :] - places[:, None] + self.bias.shape[1] // 2
        bias = self.bias[:, distances][None].to(hidden_states.dtype)
        if attention_mask is not None and attention_mask.dtype == torch.bool:
            bias = bias.masked_fill(~attention_mask, torch.finfo(bias.dtype).min)
        elif attention_mask is not None:
            bias = bias + attention_mask
        context = nn.functional.scaled_dot_product_attention(query, key, value, bias)
        return context.transpose(1, 2).reshape(batch, tokens, hidden), None


def spread_buckets(table: torch.Tensor, max_tokens: int) -> torch.Tensor:
    """Return the bias of every distance from -(max_tokens - 1) on: (buckets, heads) -> (heads, distances).

    Distances share buckets: half of the buckets for each direction, of those half for one distance each, the
    rest for ranges that grow up to MAX_DISTANCE.
    """
    distances = torch.arange(1 - max_tokens, max_tokens)
    half = NUM_BUCKETS // 2
    single = half // 2
    far = distances.abs()
    ranged = single + (
        torch.log(far.float() / single) / math.log(MAX_DISTANCE / single) * (half - single)
    ).to(torch.long).clamp(max=half - 1 - single)
    buckets = torch.where(far < single, far, ranged) + (distances > 0) * half
    return table[buckets].T.contiguous()

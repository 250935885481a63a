"""A constant query prefix: the states of its tokens are constants of every layer.

A BERT-like encoder reads the words before a query together with the query, layer by layer. Their states
depend little on the query, so their means over many queries replace them: each layer's attention finds
constant keys and values beside the text's own. The text's positions follow the prefix's. All that is left of
the prefix's cost is a few products in the attention. The form is that of prefix tuning (Li and Liang, arXiv
2101.00190), but the states are not learned.
"""

from typing import Any

import torch
from torch import nn


class PrefixedAttention(nn.Module):
    """Self-attention over constant tokens and a text's own: softmax(q [p_k; k]^T / sqrt(d)) [p_v; v].

    `prefix` (tokens, hidden) are the states with which the constant tokens enter the layer.
    """

    prefix: torch.Tensor

    def __init__(self, own: Any, prefix: torch.Tensor) -> None:  # noqa: ANN401  # transformers' attention
        super().__init__()
        self.query, self.key, self.value = own.query, own.key, own.value
        self.num_attention_heads: int = own.num_attention_heads
        self.layer_idx: int = own.layer_idx
        self.register_buffer("prefix", prefix)

    def forward(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, **_: object
    ) -> tuple[torch.Tensor, None]:
        """Return the context (batch, tokens, hidden), as transformers' own does, and no weights."""
        batch, tokens, hidden = hidden_states.shape
        read = torch.cat([self.prefix.to(hidden_states.dtype).expand(batch, -1, -1), hidden_states], dim=1)
        query, key, value = (
            rows.view(batch, -1, self.num_attention_heads, hidden // self.num_attention_heads).transpose(1, 2)
            for rows in (self.query(hidden_states), self.key(read), self.value(read))
        )
        if attention_mask is not None:
            seen = True if attention_mask.dtype == torch.bool else 0.0
            attention_mask = nn.functional.pad(attention_mask, (len(self.prefix), 0), value=seen)
        context = nn.functional.scaled_dot_product_attention(query, key, value, attention_mask)
        return context.transpose(1, 2).reshape(batch, tokens, hidden), None

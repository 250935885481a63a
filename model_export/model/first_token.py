"""A tower's vectors from the first token alone, as in the exported graphs: the same vectors, less work."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from model_export.model.prefix import PrefixedAttention
from model_export.model.tower import Tower
from reranker.encoder import Ids, pad


def encode(tower: Tower, batch: Sequence[Ids]) -> torch.Tensor:
    """Encode token lists as `tower.encode` does: -> (len(batch), dim).

    If the first token's state is the vector, the last layer computes only that token, because nothing reads
    the others. Attention is written out: on a CPU, for texts of ten tokens, torch's fused attention takes
    several times as long. For other poolings or inputs this is `tower.encode`.
    """
    if tower.pooling.name != "cls" or tower.kind != "word_pieces":
        return tower.encode(batch)
    device = tower.bert.embeddings.word_embeddings.weight.device
    ids, mask = (torch.from_numpy(array).to(device) for array in pad(batch))
    states = tower.bert.embeddings(ids)
    unseen = None if bool(mask.all()) else (mask == 0)[:, None, None, :]
    layers = list(tower.bert.encoder.layer)
    for layer in layers[:-1]:
        states = _run_layer(layer, states, states, unseen)
    pooled = _run_layer(layers[-1], states[:, :1], states, unseen)[:, 0]
    projected = tower.projection(pooled) if tower.projection else pooled
    return nn.functional.normalize(projected.float(), dim=1)


def compute_states(tower: Tower, ids: torch.Tensor, num_layers: int) -> torch.Tensor:
    """Return all tokens' states after the first layers: (batch, tokens) int64, unpadded -> (.., hidden)."""
    found: torch.Tensor = tower.bert.embeddings(ids)
    for layer in list(tower.bert.encoder.layer)[:num_layers]:
        found = _run_layer(layer, found, found, None)
    return found


def _run_layer(
    layer: Any,  # noqa: ANN401
    reads: torch.Tensor,
    states: torch.Tensor,
    unseen: torch.Tensor | None,
) -> torch.Tensor:
    """Return one BERT layer's states of the tokens `reads`, which attend to all of `states`.

    If the layer has constant tokens (`prefix.PrefixedAttention`), they attend to those too.
    """
    attention, output = layer.attention.self, layer.attention.output
    batch, _, hidden = states.shape
    if isinstance(attention, PrefixedAttention):
        states = torch.cat([attention.prefix.to(states.dtype).expand(batch, -1, -1), states], dim=1)
        if unseen is not None:
            unseen = nn.functional.pad(unseen, (len(attention.prefix), 0), value=False)
    heads: int = attention.num_attention_heads

    def split(rows: torch.Tensor) -> torch.Tensor:
        return rows.view(batch, -1, heads, hidden // heads).transpose(1, 2)

    query, key, value = (
        split(attention.query(reads)),
        split(attention.key(states)),
        split(attention.value(states)),
    )
    weights = (query @ key.transpose(2, 3)).float() / math.sqrt(hidden // heads)
    if unseen is not None:
        weights = weights.masked_fill(unseen, -torch.inf)
    mixed = (weights.softmax(dim=-1).to(value.dtype) @ value).transpose(1, 2).reshape(batch, -1, hidden)
    attended = output.LayerNorm(output.dense(mixed).float() + reads.float())
    wide = layer.intermediate.intermediate_act_fn(layer.intermediate.dense(attended))
    found: torch.Tensor = layer.output.LayerNorm(layer.output.dense(wide).float() + attended)
    return found

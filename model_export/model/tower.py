"""One tower of TwinBERT: tokens in, a unit vector out (arXiv 2002.06275, sections 3.1 and 3.2)."""

import copy
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import nn
from transformers import BertModel

from model_export.model.head import Stage, find_dim
from model_export.model.pooling import Pooling, make_pooling
from model_export.model.prefix import PrefixedAttention
from model_export.model.relative_attention import RelativeAttention
from model_export.model.word_blocks import WordBlocks
from reranker.encoder import Ids, pad
from reranker.tri_letters import PADDING

Input = Literal["word_pieces", "tri_letters"]


class Tower(nn.Module):
    """v = normalised(head(project(pool(transformer(embeddings))))).

    A token's embedding is the row of its word piece, or the sum of its trigrams' rows (row PADDING is 0),
    plus its position's. There are no segments: a pretrained model's first segment is added to its positions.
    `projection`, if any, is a linear layer (dim, hidden) without bias after the pooling. `head` is what a
    model from elsewhere does after that; a tower with a head is not trained. `word_blocks` are the rows of
    word pieces in 4-bit blocks, if that is how the model came: a graph keeps them as they are.
    """

    def __init__(
        self,
        bert: BertModel,
        pooling: str | Pooling,
        *,
        kind: Input = "word_pieces",
        dim: int | None = None,
        head: Sequence[Stage] = (),
        word_blocks: WordBlocks | None = None,
    ) -> None:
        super().__init__()
        hidden: int = bert.config.hidden_size
        self.bert = bert
        self.kind = kind
        self.pooling = make_pooling(pooling, hidden) if isinstance(pooling, str) else pooling
        self.projection = nn.Linear(hidden, dim, bias=False) if dim else None
        self.head = nn.ModuleList(head)
        self.word_blocks = word_blocks
        _drop_segments(bert)

    @property
    def dim(self) -> int:
        """The vectors' dimension."""
        hidden: int = self.bert.config.hidden_size
        return find_dim(self.head, self.projection.out_features if self.projection else hidden)

    @property
    def num_layers(self) -> int:
        """How many transformer layers there are."""
        layers: int = self.bert.config.num_hidden_layers
        return layers

    @property
    def prefix_tokens(self) -> int:
        """How many constant tokens every layer's attention reads beside a text's own."""
        attention = self.bert.encoder.layer[0].get_submodule("attention.self")
        return len(attention.prefix) if isinstance(attention, PrefixedAttention) else 0

    @property
    def prefix_states(self) -> list[torch.Tensor]:
        """The constant tokens' states of each layer, (tokens, hidden) each; empty without constant tokens."""
        if not self.prefix_tokens:
            return []
        layers: Any = self.bert.encoder.layer
        return [layer.get_submodule("attention.self").prefix for layer in layers]

    @property
    def relative_bias(self) -> torch.Tensor | None:
        """The bias of each distance of two tokens, (heads, 2 max_tokens - 1); None if there is none."""
        attention = self.bert.encoder.layer[0].get_submodule("attention.self")
        return attention.bias if isinstance(attention, RelativeAttention) else None

    @property
    def max_tokens(self) -> int:
        """The most tokens of a text that have positions."""
        tokens: int = self.bert.config.max_position_embeddings
        return tokens

    def has_weights_of(self, other: "Tower") -> bool:
        """Return whether all rounded weights, which are words and layers, are equal."""
        own, others = self._select_rounded(), other._select_rounded()
        return own.keys() == others.keys() and all(own[name].equal(others[name]) for name in own)

    def with_prefix(self, states: Sequence[torch.Tensor]) -> "Tower":
        """Return a copy whose layers also read constant tokens, given as (tokens, hidden) for each layer.

        They lie between a text's first token and its others, whose positions follow theirs.
        """
        tower = copy.deepcopy(self)
        for layer, prefix in zip(tower.bert.encoder.layer, states, strict=True):
            attention: Any = layer.get_submodule("attention")
            attention.self = PrefixedAttention(attention.self, prefix.clone())
        config, positions = tower.bert.config, tower.bert.embeddings.position_embeddings.weight.detach()
        left = torch.cat([positions[:1], positions[1 + len(states[0]) :]])
        config.max_position_embeddings = len(left)
        table = nn.Embedding(*left.shape)
        table.weight = nn.Parameter(left)
        tower.bert.embeddings.position_embeddings = table
        for name in ("position_ids", "token_type_ids"):
            tower.bert.embeddings.register_buffer(
                name, getattr(tower.bert.embeddings, name)[:, : len(left)], persistent=False
            )
        return tower

    def _select_rounded(self) -> dict[str, torch.Tensor]:
        apart = ("position_embeddings", "attention.self.prefix")
        state = self.bert.state_dict()
        return {name: each for name, each in state.items() if not any(part in name for part in apart)}

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Encode padded tokens: (batch, tokens[, trigrams]) int64 and (batch, tokens) -> (batch, dim)."""
        if self.kind == "tri_letters":
            rows = self.bert.embeddings.word_embeddings(ids) * (ids != PADDING).unsqueeze(3)
            states = self.bert(inputs_embeds=rows.sum(dim=2), attention_mask=mask).last_hidden_state
        else:
            states = self.bert(ids, attention_mask=mask).last_hidden_state
        pooled = self.pooling(states, mask)
        projected = self.projection(pooled) if self.projection else pooled
        for stage in self.head:
            projected = stage(projected)
        return nn.functional.normalize(projected.float(), dim=1)

    def encode(self, batch: Sequence[Ids]) -> torch.Tensor:
        """Encode token lists, which are padded here, on the weights' device: -> (len(batch), dim)."""
        device = next(self.parameters()).device
        ids, mask = (torch.from_numpy(array).to(device) for array in pad(batch))
        vectors: torch.Tensor = self(ids, mask)
        return vectors

    def with_layers(self, kept: Sequence[int]) -> "Tower":
        """Return a copy with only these layers of the transformer, in this order."""
        tower = copy.deepcopy(self)
        layers = tower.bert.encoder.layer
        tower.bert.encoder.layer = nn.ModuleList([layers[i] for i in kept])
        for place, layer in enumerate(tower.bert.encoder.layer):
            attention: Any = layer.get_submodule("attention.self")
            attention.layer_idx = place
        tower.bert.config.num_hidden_layers = len(kept)
        return tower


def _drop_segments(bert: BertModel) -> None:
    """Add the first segment's row to the positions, and leave one row of zeros, which is not trained."""
    embeddings = bert.embeddings
    with torch.no_grad():
        embeddings.position_embeddings.weight.add_(embeddings.token_type_embeddings.weight[:1])
        embeddings.token_type_embeddings = nn.Embedding(1, bert.config.hidden_size)
        embeddings.token_type_embeddings.weight.zero_()
    embeddings.token_type_embeddings.weight.requires_grad_(False)
    bert.config.type_vocab_size = 1

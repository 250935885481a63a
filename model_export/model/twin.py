"""A whole TwinBERT: two towers and a crossing, saved to a folder and loaded from it."""

from pathlib import Path
from typing import Literal

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import BertConfig, BertModel

from model_export.errors import ExportError
from model_export.model.checkpoint import check_finite, check_types
from model_export.model.crossing import CosineCrossing, ResidualCrossing, TrainedCrossing
from model_export.model.pooling import POOLINGS
from model_export.model.tower import Input, Tower

SHAPE_FILE, WEIGHTS_FILE = "twin.json", "twin.safetensors"


class TowerShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything about a tower except its weights; `rows` is the size of the embedding table."""

    rows: int
    layers: int
    hidden: int
    heads: int
    intermediate: int
    max_tokens: int
    input: Input
    pooling: str
    dim: int | None = None
    epsilon: float = 1e-12
    prefix_tokens: int = 0

    def build(self) -> Tower:
        """Return a tower of this shape with random weights, without dropout."""
        config = BertConfig(
            vocab_size=self.rows,
            hidden_size=self.hidden,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=self.intermediate,
            max_position_embeddings=self.max_tokens + self.prefix_tokens,
            type_vocab_size=1,
            layer_norm_eps=self.epsilon,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        bert = BertModel(config, add_pooling_layer=False)
        made = Tower(bert, self.pooling, kind=self.input, dim=self.dim)
        if not self.prefix_tokens:
            return made
        return made.with_prefix([torch.zeros(self.prefix_tokens, self.hidden)] * self.layers)

    @classmethod
    def from_tower(cls, tower: Tower) -> "TowerShape":
        """Return the shape of a tower.

        Raises:
            ExportError: it is of a model that can be exported, but not trained.
        """
        has_more = type(tower) is not Tower or len(tower.head) or tower.relative_bias is not None
        if has_more or tower.pooling.name not in POOLINGS or tower.pooling.skipped:
            raise ExportError(
                f"expected a BERT with one of the poolings {', '.join(POOLINGS)} to save, found another"
                " model: it can be exported, but not trained"
            )
        config = tower.bert.config
        return cls(
            rows=config.vocab_size,
            layers=tower.num_layers,
            hidden=config.hidden_size,
            heads=config.num_attention_heads,
            intermediate=config.intermediate_size,
            max_tokens=tower.max_tokens,
            input=tower.kind,
            pooling=tower.pooling.name,
            dim=tower.projection.out_features if tower.projection else None,
            epsilon=config.layer_norm_eps,
            prefix_tokens=tower.prefix_tokens,
        )


class TwinShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The shapes of both towers (`document` is None if both are one) and of the crossing."""

    query: TowerShape
    document: TowerShape | None
    crossing: Literal["cosine", "residual"]
    crossing_hidden: int | None = None


class TwinBert(nn.Module):
    """Two towers, possibly the same object, and a crossing.

    Raises:
        ExportError: the towers' vectors differ in dimension, or their inputs in kind.
    """

    def __init__(self, query: Tower, document: Tower, crossing: TrainedCrossing) -> None:
        super().__init__()
        if (query.dim, query.kind) != (document.dim, document.kind):
            raise ExportError(
                f"expected towers of one dimension and input, found {query.dim} {query.kind}"
                f" and {document.dim} {document.kind}"
            )
        self.query = query
        self.document = document
        self.crossing = crossing

    @property
    def shape(self) -> TwinShape:
        """Everything about the model except its weights."""
        residual = self.crossing if isinstance(self.crossing, ResidualCrossing) else None
        return TwinShape(
            query=TowerShape.from_tower(self.query),
            document=None if self.document is self.query else TowerShape.from_tower(self.document),
            crossing="residual" if residual else "cosine",
            crossing_hidden=residual.inner.out_features if residual else None,
        )

    @classmethod
    def from_shape(cls, shape: TwinShape) -> "TwinBert":
        """Return a model of this shape with random weights."""
        query = shape.query.build()
        document = shape.document.build() if shape.document else query
        if shape.crossing == "residual":
            return cls(query, document, ResidualCrossing(query.dim, shape.crossing_hidden or query.dim))
        return cls(query, document, CosineCrossing())

    def save(self, folder: Path) -> None:
        """Write shape and weights into `folder`.

        Raises:
            OSError: a file cannot be written.
        """
        (folder / SHAPE_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(self.shape), indent=2))
        try:
            save_file(self._collect_state(), folder / WEIGHTS_FILE)
        except SafetensorError as error:  # a full disk, for one
            raise OSError(f"{folder / WEIGHTS_FILE}: {error}") from error

    @classmethod
    def load(cls, folder: Path) -> "TwinBert":
        """Read what `save` wrote.

        Raises:
            ExportError: a file is missing, or the weights do not fit the shape.
        """
        try:
            shape = msgspec.json.decode((folder / SHAPE_FILE).read_bytes(), type=TwinShape)
            weights = load_file(folder / WEIGHTS_FILE)
        except (OSError, msgspec.MsgspecError, SafetensorError) as error:
            raise ExportError(f"expected a trained model in {folder}, found: {error}") from error
        check_types(folder / WEIGHTS_FILE)
        model = cls.from_shape(shape)
        expected = {name: list(tensor.shape) for name, tensor in model._collect_state().items()}
        found = {name: list(tensor.shape) for name, tensor in weights.items()}
        if found != expected:
            wrong = sorted(set(map(str, found.items())) ^ set(map(str, expected.items())))[:4]
            raise ExportError(f"expected the weights that {folder / SHAPE_FILE} describes, found: {wrong}")
        model.load_state_dict(weights, strict=False)
        check_finite(folder / WEIGHTS_FILE, model._collect_state())
        frozen: TwinBert = model.train(mode=False)
        return frozen

    def _collect_state(self) -> dict[str, torch.Tensor]:
        """Return the weights, those of a shared tower once."""
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        if self.document is self.query:
            state = {name: tensor for name, tensor in state.items() if not name.startswith("document.")}
        return {name: tensor.clone() for name, tensor in state.items()}

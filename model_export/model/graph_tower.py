"""A tower whose ONNX graph comes with the model: for architectures that the exporter has no graph of."""

from collections.abc import Sequence
from typing import Any

import onnx
from torch import nn

from model_export.model.head import Stage
from model_export.model.pooling import Pooling
from model_export.model.tower import Tower


class GraphTower(Tower):
    """v = normalised(head(pool(transformer(tokens)))): `graph` gives the transformer's states.

    `transformer` is the same in torch, and what the graph is compared with. Such a tower is not trained.
    """

    def __init__(
        self,
        transformer: Any,  # noqa: ANN401 - any of transformers' encoders
        graph: onnx.ModelProto,
        pooling: Pooling,
        *,
        max_tokens: int,
        head: Sequence[Stage] = (),
    ) -> None:
        nn.Module.__init__(self)
        self.bert = transformer
        self.graph = graph
        self.kind = "word_pieces"
        self.pooling = pooling
        self.projection = None
        self.head = nn.ModuleList(head)
        self._max_tokens = max_tokens

    @property
    def num_layers(self) -> int:
        """How many layers there are: not known."""
        return 0

    @property
    def prefix_tokens(self) -> int:
        """Such a tower has no constant tokens."""
        return 0

    @property
    def relative_bias(self) -> None:
        """The graph knows distances by itself."""
        return

    @property
    def max_tokens(self) -> int:
        """The most tokens of a text that have positions."""
        return self._max_tokens

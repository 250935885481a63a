"""A BERT encoder as an ONNX graph of fused operators, pooled and normalised inside.

The graph is written from the weights, not traced, so attention and GELU are one node a layer by
construction; `check_fusion` holds the finished graph to it. LayerNormalization follows Sum, which ONNX
Runtime does not merge into SkipLayerNormalization: on CPU that kernel took 29 us for 12 x 384 values, the
pair takes 12 us.
"""

from collections import Counter

import numpy as np
import onnx
from onnx import TensorProto

from model_export.base import Base
from model_export.errors import ExportError
from model_export.linear import Linear, exact
from model_export.nodes import CONTRIB, Nodes
from model_export.quantize import Dense, rows
from model_export.weights import WeightFile

POOLINGS = ("cls", "mean")
_PROJECTIONS = ("query", "key", "value")


def encoder(base: Base, linear: Linear, weights: WeightFile) -> onnx.ModelProto:
    """Build one tower; large tensors go to `weights`.

    Raises:
        ExportError: a pooling that is not known, or a graph without one fused node a layer.
    """
    layers: int = base.model.config.num_hidden_layers
    model = _Tower(base, linear, Nodes(weights)).built(layers)
    check_fusion(model, layers)
    return model


def check_fusion(model: onnx.ModelProto, layers: int) -> None:
    """Count the fused nodes.

    Raises:
        ExportError: not one attention and one GELU a layer, or not two layer normalisations and one more.
    """
    counts = Counter(node.op_type for node in model.graph.node)
    expected = {"MultiHeadAttention": layers, "BiasGelu": layers, "LayerNormalization": 2 * layers + 1}
    found = {kind: counts[kind] for kind in expected}
    if found != expected or counts["Softmax"] or counts["Erf"]:
        raise ExportError(f"expected the fused nodes {expected}, found {dict(counts)}: fusion was lost")


class _Tower:
    """Writes the layers of one encoder; every method returns the name of its output."""

    def __init__(self, base: Base, linear: Linear, nodes: Nodes) -> None:
        self._config = base.model.config
        self._tensors = {name: tensor.numpy() for name, tensor in base.model.state_dict().items()}
        self._pooling = base.pooling
        self._linear = linear
        self._nodes = nodes

    def built(self, layers: int) -> onnx.ModelProto:
        mask = self._nodes.op("Cast", "attention_mask", to=TensorProto.INT32)
        x = self._normalised("embeddings.LayerNorm", self._embedded())
        for i in range(layers):
            x = self._attended(f"encoder.layer.{i}.attention", x, mask)
            x = self._transformed(f"encoder.layer.{i}", x)
        length = self._nodes.op("ReduceL2", pooled := self._pooled(x), self._axis(-1), keepdims=1)
        self._nodes.op("Div", pooled, length, output="embedding")
        return self._nodes.model(self._config.hidden_size)

    def _embedded(self) -> str:
        """Add word and position embeddings; the segment is always the first: its row joins the positions."""
        segment = self._tensors["embeddings.token_type_embeddings.weight"][:1]
        table = self._tensors["embeddings.position_embeddings.weight"] + segment
        length = self._nodes.op("Shape", "input_ids", start=1, end=2)
        positions = self._nodes.op("Slice", self._nodes.constant("positions", table), self._axis(0), length)
        return self._nodes.op("Add", self._words(), positions)

    def _words(self) -> str:
        table = self._tensors["embeddings.word_embeddings.weight"]
        if self._linear is exact:
            return self._nodes.op("Gather", self._nodes.constant("words", table), "input_ids")
        integers, scales = rows(table)
        words = self._nodes.op("Gather", self._nodes.constant("words", integers), "input_ids")
        scale = self._nodes.op("Gather", self._nodes.constant("word_scales", scales), "input_ids")
        return self._nodes.op("Mul", self._nodes.op("Cast", words, to=TensorProto.FLOAT), scale)

    def _attended(self, name: str, x: str, mask: str) -> str:
        dense = self._dense(f"{name}.self.qkv", *(f"{name}.self.{part}" for part in _PROJECTIONS))
        projected = self._linear(self._nodes, x, dense)
        query, key, value = self._nodes.ops("Split", [projected], 3, axis=-1, num_outputs=3)
        context = self._nodes.op(
            "MultiHeadAttention", query, key, value, self._bias(dense), mask,
            domain=CONTRIB, num_heads=self._config.num_attention_heads,
        )  # fmt: skip
        return self._added(f"{name}.output", context, x)

    def _transformed(self, name: str, x: str) -> str:
        inner = self._dense(f"{name}.intermediate.dense")
        y = self._nodes.op("BiasGelu", self._linear(self._nodes, x, inner), self._bias(inner), domain=CONTRIB)
        return self._added(f"{name}.output", y, x)

    def _added(self, name: str, x: str, residual: str) -> str:
        """Normalise the sum of a dense layer and what went around it."""
        dense = self._dense(f"{name}.dense")
        y = self._nodes.op("Sum", self._linear(self._nodes, x, dense), self._bias(dense), residual)
        return self._normalised(f"{name}.LayerNorm", y)

    def _normalised(self, name: str, x: str) -> str:
        scale = self._nodes.constant(f"{name}.scale", self._tensors[f"{name}.weight"])
        shift = self._nodes.constant(f"{name}.shift", self._tensors[f"{name}.bias"])
        epsilon = self._config.layer_norm_eps
        return self._nodes.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=epsilon)

    def _pooled(self, x: str) -> str:
        """(batch, tokens, dim) -> (batch, dim), of any length."""
        if self._pooling == "cls":
            return self._nodes.op("Gather", x, self._nodes.constant("cls", 0, np.int64), axis=1)
        if self._pooling == "mean":
            # The sum will do: the division by the number of tokens goes out again with the length.
            mask = self._nodes.op("Cast", "attention_mask", to=TensorProto.FLOAT)
            kept = self._nodes.op("Mul", x, self._nodes.op("Unsqueeze", mask, self._axis(2)))
            return self._nodes.op("ReduceSum", kept, self._axis(1), keepdims=0)
        raise ExportError(f"expected the pooling to be one of {POOLINGS}, found {self._pooling!r}")

    def _dense(self, name: str, *parts: str) -> Dense:
        """One linear layer, or several over the same input as one."""
        weight, bias = (
            np.concatenate([self._tensors[f"{part}.{kind}"] for part in parts or (name,)])
            for kind in ("weight", "bias")
        )
        return Dense(name, weight, bias)

    def _bias(self, dense: Dense) -> str:
        return self._nodes.constant(f"{dense.name}.bias", dense.bias)

    def _axis(self, number: int) -> str:
        return self._nodes.constant(f"axis_{number}", [number], np.int64)

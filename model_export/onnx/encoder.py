"""A BERT encoder as an ONNX graph of fused operators, with pooling and normalisation inside.

The graph is written from the weights, not traced, so attention and GELU are one node each in every layer;
`check_fusion` verifies the finished graph. LayerNormalization follows Sum, which ONNX Runtime does not merge
into SkipLayerNormalization: on a CPU that kernel took 29 us for 12 x 384 values, the pair takes 12 us.
"""

from collections import Counter

import numpy as np
import onnx
from onnx import TensorProto

from model_export.errors import ExportError
from model_export.model.graph_tower import GraphTower
from model_export.model.tower import Tower
from model_export.onnx.foreign import finish_graph
from model_export.onnx.linear import Linear, multiply_exactly
from model_export.onnx.nodes import CONTRIB, Nodes
from model_export.onnx.pooling import add_axis, add_head, add_pooling, needs_mean, normalise
from model_export.onnx.quantize import DenseLayer, find_column_divisor, quantise_rows
from model_export.onnx.weights import WeightFile
from model_export.onnx.word_lookup import look_up_blocks
from reranker.arrays import Floats
from reranker.tri_letters import PADDING

_PROJECTIONS = ("query", "key", "value")


def build_encoder(tower: Tower, linear: Linear, weights: WeightFile) -> onnx.ModelProto:
    """Build one tower; large tensors go to `weights`.

    Raises:
        ExportError: the graph does not have one fused node of each kind in every layer, or a graph that came
            with the model has no products to put into integers.
    """
    if isinstance(tower, GraphTower):
        return finish_graph(tower, weights, in_integers=linear is not multiply_exactly)
    layers = tower.num_layers
    model = EncoderGraph(tower, linear, Nodes(weights)).build(layers)
    check_fusion(model, layers, softmaxes=int(tower.pooling.name == "weighted"))
    return model


def check_fusion(model: onnx.ModelProto, layers: int, *, softmaxes: int = 0) -> None:
    """Check the number of fused nodes; `softmaxes` is 1 only for weighted pooling.

    Raises:
        ExportError: not one attention, one GELU and two layer normalisations a layer, or not one for the
            embeddings.
    """
    counts = Counter(node.op_type for node in model.graph.node)
    expected = {"MultiHeadAttention": layers, "BiasGelu": layers, "LayerNormalization": 2 * layers + 1}
    expected |= {"Softmax": softmaxes, "Erf": 0}
    found = {kind: counts[kind] for kind in expected}
    if found != expected:
        raise ExportError(f"expected the fused nodes {expected}, found {dict(counts)}: fusion was lost")


class EncoderGraph:
    """Writes the layers of one encoder; every method returns the name of its output."""

    def __init__(self, tower: Tower, linear: Linear, nodes: Nodes) -> None:
        self._tower = tower
        self._config = tower.bert.config
        self._tensors = {name: tensor.cpu().numpy() for name, tensor in tower.bert.state_dict().items()}
        self._linear = linear
        self._nodes = nodes
        self._prefixes: dict[str, str] = {}
        self._distance_bias = ""

    def build(self, layers: int) -> onnx.ModelProto:
        """Return the graph with these many layers, whose output is a unit vector."""
        vector = self._project(self._pool(self.run_layers(layers)))
        vector = add_head(self._nodes, self._tower.head, vector)
        normalise(self._nodes, vector, output="embedding")
        return self._nodes.build_model(self._tower.dim, trigrams=self._tower.kind == "tri_letters")

    def run_layers(self, layers: int) -> str:
        """Return the last layer's states: of all tokens or, if only the first is pooled, of that alone."""
        mask = self._nodes.op("Cast", "attention_mask", to=TensorProto.INT32)
        if self._tower.prefix_tokens:
            seen = self._nodes.constant("prefix_seen", np.ones((1, self._tower.prefix_tokens), np.int32))
            mask = self._nodes.op("Concat", self._repeat(seen), mask, axis=1)
            self._prefixes = self._add_prefixes(layers)
        self._distance_bias = self._add_distance_bias()
        x = self._normalise("embeddings.LayerNorm", self._embed())
        for i in range(layers):
            is_pooled = i == layers - 1 and self._tower.pooling.name == "cls"
            x = self._attend(f"encoder.layer.{i}.attention", x, mask, first_alone=is_pooled)
            x = self._feed_forward(f"encoder.layer.{i}", x)
        return x

    def _embed(self) -> str:
        """Add word and position embeddings; a tower has no segments."""
        table = self._tensors["embeddings.position_embeddings.weight"]
        length = self._nodes.op("Shape", "input_ids", start=1, end=2)
        positions = self._nodes.op(
            "Slice", self._nodes.constant("positions", table), self._add_axis(0), length
        )
        return self._nodes.op("Add", self._look_up_words(), positions)

    def _look_up_words(self) -> str:
        """Look up each token's row, or the sum of its trigrams' rows; the padding's row is 0."""
        table = self._tensors["embeddings.word_embeddings.weight"]
        if self._tower.word_blocks is not None:
            return look_up_blocks(self._nodes, self._tower.word_blocks)
        if self._tower.kind == "word_pieces":
            return self._look_up_rows(table)
        silent = table.copy()
        silent[PADDING] = 0
        return self._nodes.op("ReduceSum", self._look_up_rows(silent), self._add_axis(2), keepdims=0)

    def _look_up_rows(self, table: Floats) -> str:
        if self._linear is multiply_exactly:
            return self._nodes.op("Gather", self._nodes.constant("words", table), "input_ids")
        divisor = find_column_divisor(table)
        integers, scales = quantise_rows(table if divisor is None else table / divisor)
        words = self._nodes.op("Gather", self._nodes.constant("words", integers), "input_ids")
        scale = self._nodes.op("Gather", self._nodes.constant("word_scales", scales), "input_ids")
        found = self._nodes.op("Mul", self._nodes.op("Cast", words, to=TensorProto.FLOAT), scale)
        if divisor is None:
            return found
        return self._nodes.op("Mul", found, self._nodes.constant("word_columns", divisor))

    def _attend(self, name: str, x: str, mask: str, *, first_alone: bool) -> str:
        """Attend to all tokens: from all or, if nothing reads the others, from the first alone."""
        dense = self._read_dense(f"{name}.self.qkv", *(f"{name}.self.{part}" for part in _PROJECTIONS))
        projected = self._linear(self._nodes, x, dense)
        query, key, value = self._nodes.ops("Split", [projected], 3, axis=-1, num_outputs=3)
        if self._prefixes:
            key, value = (
                self._nodes.op("Concat", self._prefixes[f"{name}.self.{part}"], own, axis=1)
                for part, own in (("key", key), ("value", value))
            )
        by_distance = self._distance_bias
        if first_alone:
            query, x = self._slice_pooled(query, 1), self._slice_pooled(x, 1)
            by_distance = by_distance and self._slice_pooled(by_distance, 2)
        context = self._nodes.op(
            "MultiHeadAttention",
            query,
            key,
            value,
            self._add_bias(dense),
            mask,
            *([by_distance] if by_distance else []),
            domain=CONTRIB,
            num_heads=self._config.num_attention_heads,
        )
        return self._add_residual(f"{name}.output", context, x)

    def _add_prefixes(self, layers: int) -> dict[str, str]:
        """Return every layer's keys and values of the constant tokens, without bias, which is added later.

        They are one constant, which is repeated once for a batch's texts: one node for each layer cost more
        than the copies.
        """
        found: dict[str, Floats] = {}
        for attention in (f"encoder.layer.{i}.attention.self" for i in range(layers)):
            for part in ("key", "value"):
                weight = self._tensors[f"{attention}.{part}.weight"]
                found[f"{attention}.{part}"] = self._tensors[f"{attention}.prefix"] @ weight.T
        whole = self._nodes.constant("prefixes", np.concatenate(list(found.values()), axis=-1)[None])
        pieces = self._nodes.ops("Split", [self._repeat(whole)], len(found), axis=-1, num_outputs=len(found))
        return dict(zip(found, pieces, strict=True))

    def _repeat(self, constant: str) -> str:
        """Repeat a constant (1, tokens, ..) -> (batch, tokens, ..)."""
        batch = self._nodes.op("Shape", "input_ids", start=0, end=1)
        rest = self._nodes.op("Shape", constant, start=1)
        return self._nodes.op("Expand", constant, self._nodes.op("Concat", batch, rest, axis=0))

    def _feed_forward(self, name: str, x: str) -> str:
        inner = self._read_dense(f"{name}.intermediate.dense")
        y = self._nodes.op(
            "BiasGelu", self._linear(self._nodes, x, inner), self._add_bias(inner), domain=CONTRIB
        )
        return self._add_residual(f"{name}.output", y, x)

    def _add_residual(self, name: str, x: str, residual: str) -> str:
        """Normalise the sum of a dense layer and its residual connection."""
        dense = self._read_dense(f"{name}.dense")
        y = self._nodes.op("Sum", self._linear(self._nodes, x, dense), self._add_bias(dense), residual)
        return self._normalise(f"{name}.LayerNorm", y)

    def _normalise(self, name: str, x: str) -> str:
        scale = self._nodes.constant(f"{name}.scale", self._tensors[f"{name}.weight"])
        shift = self._nodes.constant(f"{name}.shift", self._tensors[f"{name}.bias"])
        epsilon = self._config.layer_norm_eps
        return self._nodes.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=epsilon)

    def _add_distance_bias(self) -> str:
        """Return what attention adds for two tokens' distance, (1, heads, tokens, tokens); "" if nothing."""
        bias = self._tower.relative_bias
        if bias is None:
            return ""
        nodes, most = self._nodes, bias.shape[1] // 2
        places = nodes.constant("places", np.arange(most + 1), np.int64)
        length = nodes.op("Shape", "input_ids", start=1, end=2)
        own = nodes.op("Slice", places, self._add_axis(0), length)
        keys = nodes.op("Unsqueeze", nodes.op("Add", own, self._add_axis(most)), self._add_axis(0))
        distances = nodes.op("Sub", keys, nodes.op("Unsqueeze", own, self._add_axis(1)))
        table = nodes.constant("distance_bias", bias.cpu().numpy()[None])
        return nodes.op("Gather", table, distances, axis=2)

    def _slice_pooled(self, x: str, axis: int) -> str:
        """Keep the pooled token alone of an axis of tokens."""
        place = self._tower.pooling.skipped
        return self._nodes.op(
            "Slice", x, self._add_axis(place), self._add_axis(place + 1), self._add_axis(axis)
        )

    def _pool(self, x: str) -> str:
        """(batch, tokens, dim) -> (batch, dim), of any length unless the head reads more than directions."""
        return add_pooling(
            self._nodes,
            self._tower.pooling,
            x,
            max_tokens=self._tower.max_tokens,
            first_alone=True,
            is_mean=needs_mean(self._tower.head),
        )

    def _project(self, vector: str) -> str:
        projection = self._tower.projection
        if projection is None:
            return vector
        weight = projection.weight.detach().cpu().numpy().T
        return self._nodes.op("MatMul", vector, self._nodes.constant("projection.weight", weight))

    def _read_dense(self, name: str, *parts: str) -> DenseLayer:
        """Read one linear layer, or several that share an input as one."""
        weight, bias = (
            np.concatenate([self._tensors[f"{part}.{kind}"] for part in parts or (name,)])
            for kind in ("weight", "bias")
        )
        return DenseLayer(name, weight, bias)

    def _add_bias(self, dense: DenseLayer) -> str:
        return self._nodes.constant(f"{dense.name}.bias", dense.bias)

    def _add_axis(self, number: int) -> str:
        return add_axis(self._nodes, number)

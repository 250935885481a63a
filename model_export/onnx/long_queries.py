"""Two query towers in one graph: a whole one for long queries, a small one for short queries.

A small tower that learned from short texts is nearly as good as a whole one on those. It loses most on long
ones, which are rare. One `If` on the number of tokens chooses the tower; the other costs no time. A bundle
that takes over a document tower already holds its layers, so a whole query tower over the same integers adds
few bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from model_export.errors import ExportError
from model_export.onnx.weights import WeightFile, load_graph
from reranker.arrays import Floats
from reranker.bundle import Bundle
from reranker.encoder import Ids
from reranker.manifest import TowerSpec

OUTPUT = "embedding"


@dataclass(frozen=True)
class LongQueries:
    """The query tower of `bundle` reads queries of more than `beyond` tokens.

    Raises:
        ExportError: that bundle cuts queries differently from `query`, or no query is that long.
    """

    bundle: Bundle
    beyond: int
    query: TowerSpec

    def __post_init__(self) -> None:
        other, own = self.bundle.manifest.query, self.query
        if (other.max_tokens, other.prefix) != (own.max_tokens, own.prefix):
            raise ExportError(
                f"expected a bundle that cuts queries after {own.max_tokens} tokens, prefix {own.prefix!r},"
                f" found {other.max_tokens} and {other.prefix!r} in {self.bundle.path}"
            )
        if not 0 < self.beyond < own.max_tokens:
            raise ExportError(
                f"expected long queries to be those beyond 1 to {own.max_tokens - 1} tokens,"
                f" found {self.beyond}"
            )

    def join(self, small: onnx.ModelProto, weights: WeightFile) -> onnx.ModelProto:
        """Return a model that reads short queries like `small`; the whole tower's tensors go to `weights`.

        Raises:
            ExportError: the towers differ in inputs or dimension.
        """
        manifest = self.bundle.manifest
        whole = load_graph(self.bundle.files[manifest.query.file], self.bundle.files)
        return join_towers(small, whole, self.beyond, weights)

    def encode_reference(self, batch: Sequence[Ids], small: Floats) -> Floats:
        """Replace the small tower's vectors (texts, dim) of long texts by the whole tower's."""
        found, encoder = small.copy(), self.bundle.load_encoder(self.bundle.manifest.query.file)
        for place, tokens in enumerate(batch):
            if len(tokens) > self.beyond:
                found[place] = encoder.encode_ids([tokens])[0]
        return found


def join_towers(
    small: onnx.ModelProto, whole: onnx.ModelProto, most_tokens: int, weights: WeightFile
) -> onnx.ModelProto:
    """Return a model that reads texts of up to `most_tokens` tokens like `small`, longer ones like `whole`.

    In a batch the longest text decides, because all are padded to it. Tensors of `whole` go to `weights`.

    Raises:
        ExportError: the towers differ in inputs or dimension.
    """
    sides = (small.graph, whole.graph)
    shapes = [[str(each.type) for each in (*side.input, *side.output)] for side in sides]
    if shapes[0] != shapes[1] or small.opset_import != whole.opset_import:
        raise ExportError(
            f"expected a whole query tower of the inputs and dimension {shapes[0]}, found {shapes[1]}"
        )
    for tensor in whole.graph.initializer:
        tensor.CopyFrom(weights.add_tensor(tensor.name, numpy_helper.to_array(tensor)))
    branches = [_make_branch(side, name) for side, name in zip(sides, ("small", "whole"), strict=True)]
    limit = numpy_helper.from_array(np.array([most_tokens], np.int64), "most_tokens")
    nodes = [
        helper.make_node("Shape", ["input_ids"], ["num_tokens"], start=1, end=2),
        helper.make_node("Greater", ["num_tokens", limit.name], ["is_long"]),
        helper.make_node("If", ["is_long"], [OUTPUT], then_branch=branches[1], else_branch=branches[0]),
    ]
    constants = [limit, *small.graph.initializer, *whole.graph.initializer]
    graph = helper.make_graph(nodes, "encoder", small.graph.input, small.graph.output, constants)
    return helper.make_model(
        graph,
        opset_imports=small.opset_import,
        ir_version=small.ir_version,
        producer_name=small.producer_name,
    )


def _make_branch(graph: onnx.GraphProto, name: str) -> onnx.GraphProto:
    """Return a graph's nodes as a branch, whose name is put before the name of every value and constant."""
    given = {each.name for each in graph.input}
    for tensor in graph.initializer:
        tensor.name = f"{name}.{tensor.name}"
    for node in graph.node:
        node.name = f"{name}.{node.name}"
        for names in (node.input, node.output):
            names[:] = [each if not each or each in given else f"{name}.{each}" for each in names]
    output = helper.make_tensor_value_info(f"{name}.{OUTPUT}", TensorProto.FLOAT, None)
    return helper.make_graph(graph.node, name, [], [output])

"""A bundle's crossing: weights for `reranker`, and the same layer as ONNX for other programs."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from model_export.errors import ExportError
from model_export.model.crossing import TrainedCrossing
from model_export.model.reference import score_in_torch
from model_export.onnx.nodes import Nodes
from model_export.onnx.weights import WeightFile
from reranker.arrays import Floats
from reranker.crossing import Residual

CROSSING_FILE, CROSSING_GRAPH = "crossing.npz", "crossing.onnx"
MAX_DIFFERENCE = 1e-3
"""Largest difference of a logit between torch, numpy and ONNX Runtime."""


def write_crossing(crossing: TrainedCrossing, folder: Path) -> None:
    """Write a residual crossing's two files and check them against torch; a cosine needs no file.

    Raises:
        ExportError: numpy or ONNX Runtime differ from torch by more than MAX_DIFFERENCE.
    """
    layer = crossing.to_runtime()
    if not isinstance(layer, Residual):
        return
    layer.write(folder / CROSSING_FILE)
    onnx.save(build_crossing(layer), folder / CROSSING_GRAPH)
    random = np.random.default_rng(0)
    units = random.normal(size=(8, layer.w0.shape[1])).astype(np.float32)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    session = onnxruntime.InferenceSession(str(folder / CROSSING_GRAPH), providers=["CPUExecutionProvider"])
    onnx_scores = session.run(None, {"query": units[0], "documents": units})[0]
    expected = score_in_torch(crossing, units[:1], units)[0]
    for name, found in (("numpy", layer(units[0], units)), ("ONNX Runtime", onnx_scores)):
        difference = float(np.abs(found - expected).max())
        if not difference <= MAX_DIFFERENCE:
            raise ExportError(
                f"expected the crossing in {name} within {MAX_DIFFERENCE} of torch, found {difference}"
            )


def build_crossing(layer: Residual) -> onnx.ModelProto:
    """Return the residual crossing: query (dim,), documents (n, dim) -> score (n,), all float32."""
    dim = layer.w0.shape[1]
    nodes = Nodes(WeightFile(inline=True))
    x = nodes.op("Max", "query", "documents")
    inner = _add_linear(nodes, "inner", x, layer.w0, layer.b0)
    block = _add_linear(nodes, "outer", nodes.op("Relu", inner), layer.w1, layer.b1)
    last = nodes.op("Relu", nodes.op("Add", block, x))
    logits = _add_linear(nodes, "classes", last, layer.w2[1:] - layer.w2[:1], layer.b2[1:] - layer.b2[:1])
    nodes.op("Squeeze", logits, nodes.constant("axis", [1], np.int64), output="score")
    inputs = [
        helper.make_tensor_value_info("query", TensorProto.FLOAT, [dim]),
        helper.make_tensor_value_info("documents", TensorProto.FLOAT, ["documents", dim]),
    ]
    outputs = [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["documents"])]
    return nodes.build_graph("crossing", inputs, outputs)


def _add_linear(nodes: Nodes, name: str, x: str, weight: Floats, bias: Floats) -> str:
    product = nodes.op("MatMul", x, nodes.constant(f"{name}.weight", weight.T))
    return nodes.op("Add", product, nodes.constant(f"{name}.bias", bias))

"""A linear layer's product in a graph: in float32 or in integers."""

from collections.abc import Callable, Container, Mapping

import numpy as np

from model_export.onnx.nodes import CONTRIB, Nodes
from model_export.onnx.quantize import DenseLayer, QuantisedLayer, quantise_layer
from reranker.arrays import Floats

Linear = Callable[[Nodes, str, DenseLayer], str]
"""Adds x W^T to the graph: (nodes, the input's name, the layer) -> the output's name. The operator
that follows adds the bias."""

ALPHAS = {"attention.self.qkv": 0.5, "intermediate.dense": 0.5, "output.dense": 0.5}
"""Smoothing of each kind of layer; the attention's output has even channels and needs none."""

EVERY_KIND = (*ALPHAS, "attention.output.dense")
QUERY_KINDS = ("output.dense",)
"""Layers whose input is scaled token by token in queries: after GELU, the only input with outlier tokens."""


def multiply_exactly(nodes: Nodes, x: str, dense: DenseLayer) -> str:
    """Compute in float32."""
    return nodes.op("MatMul", x, nodes.constant(f"{dense.name}.weight", dense.weight.T))


def make_query_linear(peaks: Mapping[str, Floats]) -> Linear:
    """Return the fastest product for one short text: mostly one activation scale for all its tokens."""
    return _make_integer_linear(peaks, QUERY_KINDS)


def make_document_linear(peaks: Mapping[str, Floats]) -> Linear:
    """Return the product with the same integers in which every token has its own activation scale.

    It is closer to float32, and a text's vector does not depend on the other texts of its batch.
    """
    return _make_integer_linear(peaks, EVERY_KIND)


def _make_integer_linear(peaks: Mapping[str, Floats], tokenwise: Container[str]) -> Linear:
    def linear(nodes: Nodes, x: str, dense: DenseLayer) -> str:
        kind = dense.name.split(".", 3)[3]  # encoder.layer.3.output.dense -> output.dense
        layer = quantise_layer(dense, peaks[dense.name], ALPHAS.get(kind, 0.0))
        weight = nodes.constant(f"{dense.name}.integers", layer.integers.T)
        scales = nodes.constant(f"{dense.name}.scales", layer.scales)
        x = _smooth(nodes, x, dense, layer)
        if kind in tokenwise:
            return multiply_by_token(nodes, x, weight, scales)
        return nodes.op("DynamicQuantizeMatMul", x, weight, scales, domain=CONTRIB)

    return linear


def _smooth(nodes: Nodes, x: str, dense: DenseLayer, layer: QuantisedLayer) -> str:
    if (layer.divisor == 1).all():
        return x
    return nodes.op("Mul", x, nodes.constant(f"{dense.name}.factor", 1 / layer.divisor))


def multiply_by_token(nodes: Nodes, x: str, weight: str, scales: str, *, output: str = "") -> str:
    """Divide each token by its own peak, so that one fixed scale serves all, and multiply by it afterwards.

    A token of zeros gives 0/0, an arbitrary integer, which times its peak is 0, as it should be.
    """
    peak = nodes.reduce_last("ReduceMax", nodes.op("Abs", x))
    unit = nodes.constant("unit_scale", 1 / 127, np.float32)
    middle = nodes.constant("unit_middle", 128, np.uint8)
    integers = nodes.op("QuantizeLinear", nodes.op("Div", x, peak), unit, middle)
    product = nodes.op("MatMulIntegerToFloat", integers, weight, unit, scales, middle, domain=CONTRIB)
    return nodes.op("Mul", product, peak, output=output)

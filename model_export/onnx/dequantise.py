"""Float32 weights from a graph that was dynamically quantised, so that a score does not depend on its batch.

Dynamic quantisation gives all values of a batch one scale. So the same pair has other integers, and another
score, in other company. Here the weights are the quantised ones, times their scales, and inputs stay float32.
"""

import re

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from model_export.errors import ExportError
from model_export.onnx.graph_view import LOW_PRECISION, GraphView, list_inputs, replace_nodes
from reranker.arrays import Floats

_QUANTISED = re.compile(r"Quant|Integer|^Q[A-Z]|NBits")
"""Names of operators that compute with integers or convert to them, of ONNX and of ONNX Runtime."""

_Nodes = list[onnx.NodeProto]


def is_quantised(model: onnx.ModelProto) -> bool:
    """Return whether a node of the graph computes with quantised numbers."""
    return _find_quantised(model.graph) is not None


def dequantise(model: onnx.ModelProto) -> None:
    """Replace a graph's quantised products and tables by float32 ones, in place.

    Known are `MatMul` and `Gemm` as onnxruntime.quantization.quantize_dynamic writes them (`MatMulInteger`),
    as ONNX Runtime fuses them (`DynamicQuantizeMatMul`, `MatMulIntegerToFloat`), and tables that are read by
    `Gather` before or after `DequantizeLinear`.

    Raises:
        ExportError: a quantised node of another kind is left; the message names it.
    """
    _Dequantiser(model.graph).run()
    left = _find_quantised(model.graph)
    if left is not None:
        raise ExportError(
            "expected a graph in float32, or quantised dynamically (MatMul, Gemm and Gather), found"
            f" {left.op_type} ({left.name or left.output[0]}): give the model as it was before quantization"
        )


class _Dequantiser:
    """Finds quantised nodes, and collects what replaces them."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._view = GraphView(graph)
        self._places = {node.output[0]: place for place, node in enumerate(graph.node)}
        self._replacements: dict[int, _Nodes] = {}
        self._tensors: list[onnx.TensorProto] = []

    def run(self) -> None:
        convert = {
            "MatMulInteger": self._convert_product,
            "DynamicQuantizeMatMul": self._convert_dynamic,
            "MatMulIntegerToFloat": self._convert_fused,
            "DequantizeLinear": self._convert_table,
        }
        for node in self._graph.node:
            if node.op_type in convert:
                convert[node.op_type](node)
        replace_nodes(self._graph, self._replacements, self._tensors)

    def _convert_product(self, node: onnx.NodeProto) -> None:
        """X → DynamicQuantizeLinear → MatMulInteger → Cast → Mul by both scales, which gives the product."""
        source = self._find_source(node.input[0], _get(node, 2))
        cast = self._view.only_reader(node.output[0])
        scaled = self._view.only_reader(cast.output[0]) if cast and cast.op_type == "Cast" else None
        if source is None or cast is None or scaled is None or scaled.op_type != "Mul":
            return
        [scales] = [name for name in scaled.input if name != cast.output[0]] or [""]
        product = self._view.producer(scales)
        if product is None or product.op_type != "Mul" or source.output[1] not in product.input:
            return
        [scale] = [name for name in product.input if name != source.output[1]] or [""]
        weight = self._restore(node.input[1], scale, _get(node, 3))
        if weight is not None:
            self._replace(scaled, source.input[0], node.input[1], weight)

    def _convert_dynamic(self, node: onnx.NodeProto) -> None:
        """DynamicQuantizeMatMul: X, integers, their scale, their zero point, a bias."""
        weight = self._restore(node.input[1], node.input[2], _get(node, 3))
        if weight is not None:
            self._replace(node, node.input[0], node.input[1], weight, bias=_get(node, 4))

    def _convert_fused(self, node: onnx.NodeProto) -> None:
        """MatMulIntegerToFloat: quantised X, integers, both scales, both zero points, a bias."""
        source = self._find_source(node.input[0], _get(node, 4))
        weight = self._restore(node.input[1], node.input[3], _get(node, 5))
        if source is not None and source.output[1] == node.input[2] and weight is not None:
            self._replace(node, source.input[0], node.input[1], weight, bias=_get(node, 6))

    def _convert_table(self, node: onnx.NodeProto) -> None:
        """DequantizeLinear of a constant, or of rows that a Gather took from one."""
        axis = next((each.i for each in node.attribute if each.name == "axis"), 1)
        scale, zero = node.input[1], _get(node, 2)
        whole = self._restore(node.input[0], scale, zero, axis=axis)
        if whole is not None:
            self._tensors.append(numpy_helper.from_array(whole, node.output[0]))
            self._replacements[self._places[node.output[0]]] = []
            return
        gather = self._view.producer(node.input[0])
        scales = self._view.array(scale)
        if gather is None or gather.op_type != "Gather" or scales is None or scales.size != 1:
            return
        table = self._restore(gather.input[0], scale, zero)
        if table is None:
            return
        name = self._add_tensor(gather.input[0], table)
        rows = onnx.NodeProto()
        rows.CopyFrom(gather)
        rows.input[0], rows.output[0] = name, node.output[0]
        self._replacements[self._places[node.output[0]]] = [rows]

    def _find_source(self, integers: str, zero: str) -> onnx.NodeProto | None:
        """Return the DynamicQuantizeLinear that makes these integers and their zero point."""
        source = self._view.producer(integers)
        if source is None or source.op_type != "DynamicQuantizeLinear" or source.output[2] != zero:
            return None
        return source

    def _restore(self, integers: str, scale: str, zero: str, *, axis: int = -1) -> Floats | None:
        """Return (integers - zero) * scale in float32, scale and zero along `axis`; None if one varies."""
        values, scales = self._view.array(integers), self._view.array(scale)
        zeros = self._view.array(zero) if zero else np.zeros((), np.int32)
        if values is None or scales is None or zeros is None:
            return None
        centred = values.astype(np.float32) - _lay_along(zeros, values.ndim, axis)
        restored: Floats = centred * _lay_along(scales, values.ndim, axis)
        return restored

    def _replace(
        self, node: onnx.NodeProto, x: str, integers: str, weight: npt.NDArray[np.float32], *, bias: str = ""
    ) -> None:
        """Put X times a weight, plus a bias, in the place of a node with one output."""
        name, output = self._add_tensor(integers, weight), node.output[0]
        product = f"{output}_product" if bias else output
        nodes = [helper.make_node("MatMul", [x, name], [product], name=f"{node.name}_float")]
        if bias:
            nodes.append(helper.make_node("Add", [product, bias], [output], name=f"{node.name}_bias"))
        self._replacements[self._places[output]] = nodes

    def _add_tensor(self, integers: str, values: Floats) -> str:
        name = f"{integers}_float"
        if all(tensor.name != name for tensor in self._tensors):
            self._tensors.append(numpy_helper.from_array(values, name))
        return name


def _get(node: onnx.NodeProto, place: int) -> str:
    """Return the name of an optional input, or ""."""
    return node.input[place] if place < len(node.input) else ""


def _lay_along(values: npt.NDArray[np.generic], dimensions: int, axis: int) -> Floats:
    """Return one number, or one for each row of an axis, in a shape that fits arrays of `dimensions`."""
    shape = [1] * dimensions
    shape[axis] = -1
    laid: Floats = values.astype(np.float32).reshape(shape)
    return laid


def _find_quantised(graph: onnx.GraphProto) -> onnx.NodeProto | None:
    """Return the first node with a quantised operator or constant."""
    view = GraphView(graph)
    node: onnx.NodeProto
    for node in graph.node:
        tensors = (view.tensor(name) for name in list_inputs(node))
        if _QUANTISED.search(node.op_type) or any(
            tensor is not None and tensor.data_type in LOW_PRECISION for tensor in tensors
        ):
            return node
    return None

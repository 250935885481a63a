"""An ONNX graph, built node by node."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from model_export.onnx.weights import WeightFile

OPSET = 21
IR_VERSION = 10
_AXES_ARE_INPUTS = 18
"""The version since which the axes of a reduction are an input, not an attribute."""
_SHAPE_HAS_BOUNDS = 15
"""The version since which Shape can give some of the axes."""
CONTRIB = "com.microsoft"
"""The domain of ONNX Runtime's own operators: fused attention, GELU and integer matrix products."""


class Nodes:
    """Collects nodes and constants; methods that add one return the name of its value.

    Args:
        weights: takes large constants.
        prefix: is put before every name, if the nodes go into a graph that has names of its own.
        opset: the version of ONNX's operators in that graph.
    """

    def __init__(self, weights: WeightFile, *, prefix: str = "", opset: int = OPSET) -> None:
        self._weights = weights
        self._prefix = prefix
        self._opset = opset
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: npt.ArrayLike, dtype: npt.DTypeLike | None = None) -> str:
        """Add a constant of this name; a second call with the same name must pass the same value."""
        name = self._prefix + name
        if name not in self._constants:
            self._constants[name] = self._weights.add_tensor(name, np.asarray(value, dtype))
        return name

    def op(self, kind: str, *inputs: str, domain: str = "", output: str = "", **attributes: Any) -> str:  # noqa: ANN401
        """Add a node with one output."""
        return self.ops(kind, inputs, [output] if output else 1, domain=domain, **attributes)[0]

    def ops(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: Sequence[str] | int,
        *,
        domain: str = "",
        **attributes: Any,  # noqa: ANN401 - what an ONNX attribute may be
    ) -> list[str]:
        """Add a node with these outputs, or with this number of them, and return their names."""
        label = f"{self._prefix}{kind}_{len(self._nodes)}"
        names = [f"{label}_{i}" for i in range(outputs)] if isinstance(outputs, int) else list(outputs)
        self._nodes.append(helper.make_node(kind, inputs, names, name=label, domain=domain, **attributes))
        return names

    def reduce_last(self, kind: str, x: str) -> str:
        """Reduce the last axis to length 1 with the operator `kind`."""
        if self._opset < _AXES_ARE_INPUTS:
            return self.op(kind, x, axes=[-1], keepdims=1)
        return self.op(kind, x, self.constant("axis_-1", [-1], np.int64), keepdims=1)

    def count_tokens(self) -> str:
        """Add the number of tokens of the longest text, as a vector of one number."""
        if self._opset >= _SHAPE_HAS_BOUNDS:
            return self.op("Shape", "input_ids", start=1, end=2)
        bounds = (self.constant(f"axis_{place}", [place], np.int64) for place in (1, 2))
        return self.op("Slice", self.op("Shape", "input_ids"), *bounds)

    @property
    def nodes(self) -> Sequence[onnx.NodeProto]:
        """The nodes so far."""
        return self._nodes

    @property
    def constants(self) -> Sequence[onnx.TensorProto]:
        """The constants so far."""
        return list(self._constants.values())

    def build_model(self, dim: int, *, trigrams: bool = False) -> onnx.ModelProto:
        """Return the model: int64 input_ids and attention_mask (batch, tokens) -> embedding (batch, dim).

        With `trigrams`, input_ids is (batch, tokens, trigrams).
        """
        axes = ["batch", "tokens"]
        inputs = [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, [*axes, *["trigrams"] * trigrams]),
            helper.make_tensor_value_info("attention_mask", TensorProto.INT64, axes),
        ]
        outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", dim])]
        return self.build_graph("encoder", inputs, outputs)

    def build_graph(
        self, name: str, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        """Return all nodes and constants as a model with these inputs and outputs."""
        constants = list(self._constants.values())
        graph = helper.make_graph(self._nodes, name, inputs, outputs, constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="twinrank")

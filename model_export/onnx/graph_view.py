"""Who makes and who reads each value of an ONNX graph that others wrote, and the graph's constants."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

LOW_PRECISION = frozenset(
    getattr(onnx.TensorProto, name)
    for name in ("INT8", "UINT8", "INT4", "UINT4", "FLOAT8E4M3FN", "FLOAT8E5M2", "INT2", "UINT2")
    if hasattr(onnx.TensorProto, name)
)
"""Types of tensors that hold quantised weights."""


class GraphView:
    """The graph's constants by name, and the node that makes each other value.

    Constants are initialisers and the outputs of `Constant` nodes. A change of the graph needs a new view.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._producers: dict[str, onnx.NodeProto] = {}
        self._readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        self._outputs = {value.name for value in graph.output}
        for node in graph.node:
            self._producers |= dict.fromkeys(node.output, node)
            for name in list_inputs(node):
                self._readers[name].append(node)
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self._tensors[node.output[0]] = node.attribute[0].t

    def producer(self, name: str) -> onnx.NodeProto | None:
        """Return the node that makes a value; None for an input of the graph, or a constant."""
        return self._producers.get(name)

    def only_reader(self, name: str) -> onnx.NodeProto | None:
        """Return the one node that reads a value; None if there are others, or if the graph returns it."""
        readers = self._readers[name]
        return readers[0] if len(readers) == 1 and name not in self._outputs else None

    def tensor(self, name: str) -> onnx.TensorProto | None:
        """Return the constant of this name, if it is one."""
        return self._tensors.get(name)

    def array(self, name: str) -> npt.NDArray[np.generic] | None:
        """Return the values of the constant of this name, if it is one."""
        tensor = self._tensors.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)


def list_inputs(node: onnx.NodeProto) -> Iterator[str]:
    """Yield the names that a node reads, those of graphs inside it (`If`, `Loop`) too."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            yield from (name for inner in graph.node for name in list_inputs(inner))
            yield from (value.name for value in graph.output)


def replace_nodes(
    graph: onnx.GraphProto,
    replacements: Mapping[int, Iterable[onnx.NodeProto]],
    tensors: Iterable[onnx.TensorProto],
) -> None:
    """Put other nodes in the places of some, add constants, and drop what nothing reads any more.

    A key is a node's position in the graph.
    """
    nodes = [each for place, node in enumerate(graph.node) for each in replacements.get(place, (node,))]
    live, kept = {value.name for value in graph.output}, list[onnx.NodeProto]()
    for node in reversed(nodes):
        if live.intersection(node.output):
            kept.append(node)
            live.update(list_inputs(node))
    constants = [tensor for tensor in (*graph.initializer, *tensors) if tensor.name in live]
    dropped = {tensor.name for tensor in graph.initializer} - live
    inputs = [value for value in graph.input if value.name not in dropped]
    for field, values in ((graph.node, kept[::-1]), (graph.initializer, constants), (graph.input, inputs)):
        del field[:]
        field.extend(values)

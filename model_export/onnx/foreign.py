"""A transformer's graph that came with a model, with pooling and head after it and weights in integers."""

import onnx
from onnx import TensorProto, helper, numpy_helper

from model_export.errors import ExportError
from model_export.model.graph_tower import GraphTower
from model_export.onnx.dequantise import is_quantised
from model_export.onnx.graph_view import GraphView, replace_nodes
from model_export.onnx.integer_products import quantise_products
from model_export.onnx.nodes import CONTRIB, Nodes
from model_export.onnx.pooling import add_head, add_pooling, needs_mean, normalise
from model_export.onnx.quantize import quantise_rows
from model_export.onnx.weights import WeightFile

STATES = ("last_hidden_state", "token_embeddings")
"""Names of the output that has the tokens' states."""

OLDEST_OPSET, NEWEST_OPSET = 13, 21
FEWEST_ROWS = 256
"""A table with fewer rows stays in float32: positions and token types are small."""

_VECTOR, _TABLE = "twinrank/vector/", "twinrank/table/"
"""What the names of added nodes begin with."""


def check_graph(model: onnx.ModelProto, where: str) -> None:
    """Check that a graph gives the states of tokens, in float32.

    Raises:
        ExportError: it has other inputs or outputs, is quantised, or of a version that is not known here.
    """
    opset, graph = find_opset(model), model.graph
    if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        raise ExportError(
            f"{where}: expected a graph of opset {OLDEST_OPSET} to {NEWEST_OPSET}, found {opset}"
        )
    constants = {tensor.name for tensor in graph.initializer}
    inputs = {
        each.name: (each.type.tensor_type.elem_type, len(each.type.tensor_type.shape.dim))
        for each in graph.input
        if each.name not in constants
    }
    known = {"input_ids", "attention_mask", "token_type_ids"}
    if not {"input_ids", "attention_mask"} <= inputs.keys() <= known or set(inputs.values()) != {
        (TensorProto.INT64, 2)
    }:
        raise ExportError(
            f"{where}: expected int64 inputs input_ids and attention_mask (and token_type_ids), found"
            f" {', '.join(inputs) or 'none'}"
        )
    _find_states(model, where)
    if is_quantised(model):
        raise ExportError(f"{where}: expected a graph in float32, found a quantised one: give the original")


def find_opset(model: onnx.ModelProto) -> int:
    """Return the version of ONNX's operators in a graph."""
    return max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=0)


def finish_graph(tower: GraphTower, weights: WeightFile, *, in_integers: bool) -> onnx.ModelProto:
    """Return a tower's graph with pooling and head; large tensors go to `weights`.

    With `in_integers`, products have one activation scale a token, and tables one scale a row.

    Raises:
        ExportError: the graph has no products with constant weights.
    """
    model = onnx.ModelProto()
    model.CopyFrom(tower.graph)
    states = _find_states(model, "the model's graph")
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(states, TensorProto.FLOAT, None))
    if in_integers:
        quantise_products(model)
        _quantise_tables(model)
    nodes = Nodes(weights, prefix=_VECTOR, opset=find_opset(model))
    pooled = add_pooling(
        nodes,
        tower.pooling,
        states,
        max_tokens=tower.max_tokens,
        first_alone=False,
        is_mean=needs_mean(tower.head),
    )
    normalise(nodes, add_head(nodes, tower.head, pooled), output="embedding")
    for tensor in model.graph.initializer:
        tensor.CopyFrom(weights.add_tensor(tensor.name, numpy_helper.to_array(tensor)))
    model.graph.node.extend(nodes.nodes)
    model.graph.initializer.extend(nodes.constants)
    del model.graph.output[:], model.graph.value_info[:]
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", tower.dim])
    model.graph.output.append(output)
    _name_axes(model)
    if all(each.domain != CONTRIB for each in model.opset_import):
        model.opset_import.append(helper.make_opsetid(CONTRIB, 1))
    return model


def _find_states(model: onnx.ModelProto, where: str) -> str:
    """Return the name of the output with the tokens' states."""
    outputs = {each.name: each.type.tensor_type.elem_type for each in model.graph.output}
    found = next((name for name in STATES if outputs.get(name) == TensorProto.FLOAT), None)
    if found is None:
        raise ExportError(
            f"{where}: expected a float32 output {' or '.join(STATES)}, found {', '.join(outputs) or 'none'}"
        )
    return found


def _quantise_tables(model: onnx.ModelProto) -> None:
    """Put the large float32 tables that Gather reads into 8-bit integers, with one scale a row."""
    graph, view = model.graph, GraphView(model.graph)
    nodes = Nodes(WeightFile(inline=True), prefix=_TABLE, opset=find_opset(model))
    replacements = {}
    for place, node in enumerate(graph.node):
        axis = next((each.i for each in node.attribute if each.name == "axis"), 0)
        tensor = view.tensor(node.input[0]) if node.op_type == "Gather" and axis == 0 else None
        if tensor is None or tensor.data_type != TensorProto.FLOAT or len(tensor.dims) != 2:
            continue
        if tensor.dims[0] < FEWEST_ROWS:
            continue
        integers, scales = quantise_rows(numpy_helper.to_array(tensor))
        before = len(nodes.nodes)
        rows = nodes.op("Gather", nodes.constant(f"{tensor.name}.integers", integers), node.input[1])
        scale = nodes.op("Gather", nodes.constant(f"{tensor.name}.scales", scales), node.input[1])
        nodes.op("Mul", nodes.op("Cast", rows, to=TensorProto.FLOAT), scale, output=node.output[0])
        replacements[place] = nodes.nodes[before:]
    replace_nodes(graph, replacements, nodes.constants)


def _name_axes(model: onnx.ModelProto) -> None:
    """Let every input have any number of texts and tokens, whatever the graph was written with."""
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [each.name for each in model.graph.input if each.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in inputs
    )

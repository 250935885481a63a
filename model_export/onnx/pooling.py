"""A tower's pooling and head as nodes: token states become one vector."""

from collections.abc import Iterable

import numpy as np
from onnx import TensorProto
from torch import nn

from model_export.model.head import CutStage, DenseStage, NormalizeStage
from model_export.model.pooling import Cls, Last, Mean, Pooling, Weighted
from model_export.onnx.nodes import CONTRIB, Nodes

_OPERATORS = {"tanh": "Tanh", "relu": "Relu", "gelu": "Gelu", "sigmoid": "Sigmoid"}


def add_pooling(
    nodes: Nodes, pooling: Pooling, x: str, *, max_tokens: int, first_alone: bool, is_mean: bool
) -> str:
    """Pool the states `x`: (batch, tokens, dim) -> (batch, dim).

    With `first_alone`, `x` holds no token but the pooled one. Unless `is_mean`, the length of a mean's vector
    is arbitrary: a sum is enough if nothing but its direction is read.
    """
    if isinstance(pooling, Cls):
        place = 0 if first_alone else pooling.skipped
        name = f"cls_{place}" if place else "cls"
        return nodes.op("Gather", x, nodes.constant(name, place, np.int64), axis=1)
    mask = nodes.op("Cast", "attention_mask", to=TensorProto.FLOAT)
    if isinstance(pooling, Weighted):
        weights = _weigh(nodes, pooling, x, nodes.op("Unsqueeze", mask, add_axis(nodes, 2)))
        return _sum(nodes, x, weights)
    if isinstance(pooling, Last):
        return _sum(nodes, x, nodes.op("Unsqueeze", _find_last(nodes, max_tokens), add_axis(nodes, 2)))
    mask = _weigh_positions(nodes, pooling, mask, max_tokens)
    weights = nodes.op("Unsqueeze", mask, add_axis(nodes, 2))
    total = _sum(nodes, x, weights)
    if not is_mean:
        return total
    return nodes.op("Div", total, nodes.op("ReduceSum", mask, add_axis(nodes, 1), keepdims=1))


def add_head(nodes: Nodes, head: nn.ModuleList, vector: str) -> str:
    """Add a head's stages after the pooled vector (batch, hidden)."""
    for place, stage in enumerate(head):
        if isinstance(stage, DenseStage):
            vector = _add_dense(nodes, stage, f"head.{place}", vector)
        elif isinstance(stage, NormalizeStage):
            vector = normalise(nodes, vector)
        elif isinstance(stage, CutStage):
            bounds = (add_axis(nodes, number) for number in (0, stage.dim, -1))
            vector = nodes.op("Slice", vector, *bounds)
    return vector


def normalise(nodes: Nodes, vector: str, *, output: str = "") -> str:
    """Divide each vector (batch, dim) by its length."""
    return nodes.op("Div", vector, nodes.reduce_last("ReduceL2", vector), output=output)


def add_axis(nodes: Nodes, number: int) -> str:
    """Return a constant of one whole number, as axes and bounds are given."""
    return nodes.constant(f"axis_{number}", [number], np.int64)


def needs_mean(head: Iterable[nn.Module]) -> bool:
    """Return whether a head reads more of the pooled vector than its direction."""
    return any(isinstance(stage, DenseStage) for stage in head)


def _add_dense(nodes: Nodes, stage: DenseStage, name: str, vector: str) -> str:
    weight = stage.linear.weight.detach().cpu().numpy().T
    vector = nodes.op("MatMul", vector, nodes.constant(f"{name}.weight", weight))
    if stage.linear.bias is not None:
        bias = stage.linear.bias.detach().cpu().numpy()
        vector = nodes.op("Add", vector, nodes.constant(f"{name}.bias", bias))
    if stage.activation == "identity":
        return vector
    domain = CONTRIB if stage.activation == "gelu" else ""  # ONNX itself has it since version 20
    return nodes.op(_OPERATORS[stage.activation], vector, domain=domain)


def _sum(nodes: Nodes, x: str, weights: str) -> str:
    return nodes.op("ReduceSum", nodes.op("Mul", x, weights), add_axis(nodes, 1), keepdims=0)


def _weigh_positions(nodes: Nodes, pooling: Mean, mask: str, max_tokens: int) -> str:
    """Multiply the mask (batch, tokens) by each position's weight, unless all weights are 1."""
    weights = pooling.weigh_positions(max_tokens).numpy()
    if (weights == 1).all():
        return mask
    return nodes.op("Mul", mask, _slice_positions(nodes, nodes.constant("position_weights", weights)))


def _find_last(nodes: Nodes, max_tokens: int) -> str:
    """Return 1 for each text's last token, and 0 for the others: (batch, tokens) float32."""
    places = _slice_positions(nodes, nodes.constant("token_places", np.arange(max_tokens), np.int64))
    tokens = nodes.op("ReduceSum", "attention_mask", add_axis(nodes, 1), keepdims=1)
    last = nodes.op("Sub", tokens, add_axis(nodes, 1))
    return nodes.op("Cast", nodes.op("Equal", places, last), to=TensorProto.FLOAT)


def _slice_positions(nodes: Nodes, constant: str) -> str:
    """Keep as many of a constant's values as there are tokens."""
    return nodes.op("Slice", constant, add_axis(nodes, 0), nodes.count_tokens())


def _weigh(nodes: Nodes, pooling: Weighted, x: str, mask: str) -> str:
    """Return the softmax of w . x over the tokens for which the mask (batch, tokens, 1) is 1."""
    learned = pooling.score.weight.detach().cpu().numpy().T
    scores = nodes.op("MatMul", x, nodes.constant("pooling.weight", learned))
    absent = nodes.op("Sub", mask, nodes.constant("one", 1, np.float32))
    far = nodes.op("Mul", absent, nodes.constant("far", 1e9, np.float32))
    return nodes.op("Softmax", nodes.op("Add", scores, far), axis=1)

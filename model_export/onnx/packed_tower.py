"""Towers read back from a bundle's graph: the inverse of `encoder`, `linear` and `long_queries`.

A graph holds a tower's weights as constants of known names. Integers times their scales are the weights that
the graph computes with, so a float32 tower with these weights is the same tower, without the rounding of
what flows through it.
"""

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import helper, numpy_helper

from model_export.errors import ExportError
from model_export.model.tower import Input, Tower
from model_export.model.twin import TowerShape
from model_export.model.word_blocks import WordBlocks
from model_export.onnx.weights import load_graph
from reranker.arrays import Floats

SMALL, WHOLE = "small", "whole"
"""The branches of a graph in which another tower reads long queries."""

_HELPERS = re.compile(
    r"axis_-?\d+|cls|one|far|prefix_seen|unit_scale|unit_middle|"
    r"low_bits|four_bits|block_middle|word_shape"
)
"""Constants of a graph that are no weights."""

_OPERATORS = frozenset(
    {
        *(
            "Abs",
            "Add",
            "BiasGelu",
            "BitShift",
            "BitwiseAnd",
            "Cast",
            "Concat",
            "Div",
            "DynamicQuantizeMatMul",
            "Expand",
            "Gather",
        ),
        *("LayerNormalization", "MatMul", "MatMulIntegerToFloat", "Mul", "MultiHeadAttention"),
        *("QuantizeLinear", "ReduceL2", "ReduceMax", "ReduceSum", "Reshape", "Shape", "Slice", "Softmax"),
        *("Split", "Sub", "Sum", "Unsqueeze"),
    }
)
"""What `encoder` and `linear` build towers of."""

_FIXED = {"embeddings.token_type_embeddings.weight"}
"""What a tower has and its graph has not: one row of zeros."""

_BLOCKS_NDIM = 3
"""A table in 4-bit blocks has an axis for them."""

_PARTS = ("query", "key", "value")


def read_towers(file: Path, files: Mapping[str, Path], *, pooling: str, kind: Input) -> dict[str, Tower]:
    """Read a graph's towers in float32: one under the name "", or two under SMALL and WHOLE.

    `files` locates the files of weights that the graph names.

    Raises:
        ExportError: the graph cannot be read, or is not one that `export` writes.
    """
    try:
        branches = _split_branches(_load(file, files))
        return {
            name: _Reader(nodes, constants).read_tower(pooling, kind)
            for name, (nodes, constants) in branches.items()
        }
    except _UnknownGraphError as error:
        raise ExportError(
            f"expected a graph in {file} as this version of twinrank-export writes it, found: {error}."
            " Unpack it with the version that exported the bundle"
        ) from error


class _UnknownGraphError(Exception):
    """A graph has other nodes or constants than those that are written here."""


def _load(file: Path, files: Mapping[str, Path]) -> onnx.GraphProto:
    """Load a graph with its weights.

    Raises:
        _UnknownGraphError: it is none, or a file that it names cannot be read or is not of the bundle.
    """
    try:
        return load_graph(file, files).graph
    except KeyError as error:
        raise _UnknownGraphError(f"weights in {error}, which the manifest does not name") from error
    except (DecodeError, OSError, ValueError) as error:
        raise _UnknownGraphError(str(error)) from error


_Nodes = Sequence[onnx.NodeProto]
_Constants = Mapping[str, onnx.TensorProto]


def _split_branches(graph: onnx.GraphProto) -> dict[str, tuple[_Nodes, _Constants]]:
    """Return the nodes and constants of each tower, without the branch's name before them."""
    conditions = [node for node in graph.node if node.op_type == "If"]
    if not conditions:
        return {"": (graph.node, {tensor.name: tensor for tensor in graph.initializer})}
    branches = [attribute.g for attribute in conditions[0].attribute if attribute.HasField("g")]
    if len(conditions) > 1 or sorted(branch.name for branch in branches) != [SMALL, WHOLE]:
        raise _UnknownGraphError(f"{len(conditions)} conditions over {[each.name for each in branches]}")
    return {
        branch.name: (
            branch.node,
            {
                tensor.name.removeprefix(f"{branch.name}."): tensor
                for tensor in graph.initializer
                if tensor.name.startswith(f"{branch.name}.")
            },
        )
        for branch in branches
    }


@dataclass
class _Reader:
    """Reads one tower's weights from its constants, and notices those that nothing asks for."""

    nodes: _Nodes
    constants: _Constants
    _taken: set[str] = field(default_factory=set, init=False)

    def read_tower(self, pooling: str, kind: Input) -> Tower:
        self._check_operators()
        layers = 0
        while f"encoder.layer.{layers}.output.dense.bias" in self.constants:
            layers += 1
        words = self._read_words()
        state = {"embeddings.word_embeddings.weight": words, **self._read_layers(layers)}
        state["embeddings.position_embeddings.weight"] = positions = self._take("positions")
        state |= self._read_norm("embeddings.LayerNorm")
        prefixes = self._read_prefixes(state, layers)
        tower = TowerShape(
            rows=len(words),
            layers=layers,
            hidden=words.shape[1],
            heads=self._read_attribute("MultiHeadAttention", "num_heads"),
            intermediate=len(state.get("encoder.layer.0.intermediate.dense.bias", ())),
            max_tokens=len(positions),
            input=kind,
            pooling=pooling,
            dim=self._peek_dim(),
            epsilon=float(f"{self._read_attribute('LayerNormalization', 'epsilon'):.6g}"),  # it was float32
            prefix_tokens=len(next(iter(prefixes.values()), ())),
        ).build()
        _fill(tower.bert, state | prefixes, apart=_FIXED)
        if pooling == "weighted":
            _fill(tower.pooling, {"score.weight": self._take("pooling.weight").T})
        if tower.projection is not None:
            _fill(tower.projection, {"weight": self._take("projection.weight").T})
        self._check_all_taken()
        frozen: Tower = tower.train(mode=False)
        return frozen

    def _check_operators(self) -> None:
        if unknown := {node.op_type for node in self.nodes} - _OPERATORS:
            raise _UnknownGraphError(f"the operators {sorted(unknown)}")

    def _check_all_taken(self) -> None:
        left = [name for name in self.constants if name not in self._taken and not _HELPERS.fullmatch(name)]
        if left:
            raise _UnknownGraphError(f"the constants {sorted(left)[:4]}")

    def _read_words(self) -> Floats:
        words = self._take("words")
        if words.ndim == _BLOCKS_NDIM:
            scales = self._take("word_scales")
            return WordBlocks(words.astype(np.uint8), scales.astype(np.float16)).to_floats()
        if "word_scales" in self.constants:
            words = words * self._take("word_scales")
        if "word_columns" in self.constants:
            words = words * self._take("word_columns")
        return words

    def _read_layers(self, layers: int) -> dict[str, Floats]:
        """Return the weights of all layers, by their names in `BertModel`."""
        found: dict[str, Floats] = {}
        for layer in (f"encoder.layer.{i}" for i in range(layers)):
            attention = f"{layer}.attention.self"
            weight, bias = self._read_dense(f"{attention}.qkv")
            for part, rows, values in zip(_PARTS, np.split(weight, 3), np.split(bias, 3), strict=True):
                found |= {f"{attention}.{part}.weight": rows, f"{attention}.{part}.bias": values}
            for name in ("attention.output.dense", "intermediate.dense", "output.dense"):
                weight, bias = self._read_dense(f"{layer}.{name}")
                found |= {f"{layer}.{name}.weight": weight, f"{layer}.{name}.bias": bias}
            for name in ("attention.output.LayerNorm", "output.LayerNorm"):
                found |= self._read_norm(f"{layer}.{name}")
        return found

    def _read_dense(self, name: str) -> tuple[Floats, Floats]:
        """Return a linear layer's weight (outputs, inputs) and bias."""
        bias = self._take(f"{name}.bias")
        if f"{name}.integers" not in self.constants:
            return self._take(f"{name}.weight").T, bias
        weight = self._take(f"{name}.integers").T * self._take(f"{name}.scales")[:, None]
        if f"{name}.factor" in self.constants:
            weight = weight * self._take(f"{name}.factor")
        return weight, bias

    def _read_norm(self, name: str) -> dict[str, Floats]:
        return {
            f"{name}.weight": self._take(f"{name}.scale"),
            f"{name}.bias": self._take(f"{name}.shift"),
        }

    def _read_prefixes(self, state: Mapping[str, Floats], layers: int) -> dict[str, Floats]:
        """Return each layer's states of the constant tokens, (tokens, hidden): the inverse of their products.

        The graph has their keys and values; the states that give these best are found by least squares.
        """
        if "prefixes" not in self.constants:
            return {}
        products = np.split(self._take("prefixes")[0], 2 * layers, axis=-1)
        found: dict[str, Floats] = {}
        for i in range(layers):
            attention = f"encoder.layer.{i}.attention.self"
            weights = np.concatenate([state[f"{attention}.{part}.weight"] for part in ("key", "value")])
            wanted = np.concatenate(products[2 * i : 2 * i + 2], axis=-1)
            solved = np.linalg.lstsq(weights.astype(np.float64), wanted.T.astype(np.float64), rcond=None)[0]
            found[f"{attention}.prefix"] = solved.T.astype(np.float32)
        return found

    def _peek_dim(self) -> int | None:
        projection = self.constants.get("projection.weight")
        return None if projection is None else int(projection.dims[1])

    def _read_attribute(self, operator: str, name: str) -> Any:  # noqa: ANN401  # what ONNX returns
        """Return a value that all nodes of an operator have, as this module writes it."""
        given = {
            helper.get_attribute_value(attribute)
            for node in self.nodes
            if node.op_type == operator
            for attribute in node.attribute
            if attribute.name == name
        }
        if len(given) != 1:
            raise _UnknownGraphError(f"{operator} nodes with {sorted(given)} as {name}")
        return given.pop()

    def _take(self, name: str) -> Floats:
        """Return a constant in float32, and count it as read."""
        if name not in self.constants:
            raise _UnknownGraphError(f"no constant {name}")
        self._taken.add(name)
        try:
            values = numpy_helper.to_array(self.constants[name])
        except ValueError as error:  # fewer or more bytes than its shape says
            raise _UnknownGraphError(f"the constant {name}: {error}") from error
        found: Floats = values.astype(np.float32)
        return found


def _fill(module: torch.nn.Module, state: Mapping[str, Floats], *, apart: Container[str] = ()) -> None:
    """Put values into a module, all of whose tensors but `apart` they are."""
    expected = {
        name: tuple(tensor.shape) for name, tensor in module.state_dict().items() if name not in apart
    }
    found = {name: values.shape for name, values in state.items()}
    if wrong := list(_differences(expected, found)):
        raise _UnknownGraphError("; ".join(wrong[:4]))
    tensors = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in state.items()}
    module.load_state_dict(tensors, strict=False)


def _differences(
    expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]
) -> Iterator[str]:
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            yield f"{name} of shape {found.get(name)} instead of {expected.get(name)}"

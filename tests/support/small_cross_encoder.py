"""A cross-encoder as an ONNX graph of a few nodes, with random weights from a seed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from reranker.arrays import Floats
from tests.bundles.make_tiny import write_tokenizer

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
ALONE, LONGER = [9], [9, 40, 25]
"""Lengths of the rows of two batches; the first row of both is as long."""

PAIRS = [
    ("how to wait a second", "wait for the given second, or until it is over"),
    ("read a file", "it"),
    ("sort it", "a long text about nothing at all that has many more tokens than the other two have"),
]


def write_small_cross_encoder(
    folder: Path,
    *,
    file: str = "model.onnx",
    inputs: Sequence[str] = INPUTS,
    outputs: int = 1,
    rows: int | None = None,
    positions: int = 512,
    opset: int = 17,
    scale: float = 1.0,
) -> Path:
    """Write graph and tokeniser into a folder, and return it.

    `rows` of its table of tokens are as many as the tokeniser has tokens, unless given. `scale` multiplies
    the logits.
    """
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    tokens = write_tokenizer(folder)
    onnx.save(make_graph(inputs, outputs, rows or tokens, positions, opset, scale), folder / file)
    return folder


def make_graph(
    inputs: Sequence[str] = INPUTS,
    outputs: int = 1,
    rows: int = 97,
    positions: int = 512,
    opset: int = 17,
    scale: float = 1.0,
) -> onnx.ModelProto:
    """Return the graph: tables of words, positions and segments, products as in a transformer, a mean."""
    random = np.random.default_rng(7)

    def weight(*shape: int) -> Floats:
        return random.normal(0, shape[0] ** -0.5, shape).astype(np.float32)

    constants: dict[str, npt.NDArray[np.generic]] = {
        "words": 3 * weight(rows, 32),
        "places": weight(positions, 32),
        "segments": weight(2, 32),
        **{name: 4 * weight(32, 32) for name in ("w_query", "w_key", "w_value")},
        "w_inner": weight(32, 48),
        "w_outer": weight(48, 32),
        "w_class": scale * 4 * weight(32, outputs),
        "b_class": np.zeros(outputs, np.float32),
        "zero": np.array([0], np.int64),
        "one": np.array([1], np.int64),
        "two": np.array([2], np.int64),
    }
    op = helper.make_node
    embedded = [
        op("Gather", ["words", "input_ids"], ["rows"]),
        op("Shape", ["input_ids"], ["shape"]),
        op("Slice", ["shape", "one", "two", "zero"], ["length"]),
        op("Slice", ["places", "zero", "length", "zero"], ["placed"]),
        op("Add", ["rows", "placed"], ["there"]),
    ]
    if "token_type_ids" in inputs:
        embedded += [op("Gather", ["segments", "token_type_ids"], ["sides"])]
        embedded += [op("Add", ["there", "sides"], ["x"])]
    else:
        embedded += [op("Identity", ["there"], ["x"])]
    nodes = [
        *embedded,
        op("MatMul", ["x", "w_query"], ["query"], name="query"),
        op("MatMul", ["x", "w_key"], ["key"], name="key"),
        op("MatMul", ["x", "w_value"], ["value"], name="value"),
        op("Tanh", ["query"], ["gate"]),
        op("Mul", ["gate", "key"], ["gated"]),
        op("Add", ["gated", "value"], ["y"]),
        op("MatMul", ["y", "w_inner"], ["inner"], name="inner"),
        op("Relu", ["inner"], ["active"]),
        op("MatMul", ["active", "w_outer"], ["z"], name="outer"),
        op("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        op("Unsqueeze", ["mask", "two"], ["wide_mask"]),
        op("Mul", ["z", "wide_mask"], ["seen"]),
        op("ReduceSum", ["seen", "one"], ["sum"], keepdims=0),
        op("ReduceSum", ["mask", "one"], ["count"], keepdims=1),
        op("Div", ["sum", "count"], ["mean"]),
        op("Gemm", ["mean", "w_class", "b_class"], ["logits"], name="class"),
    ]
    if extra := [name for name in inputs if name not in INPUTS]:
        nodes.append(op("Identity", extra, ["unread"]))
    axes = ["batch", "tokens"]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(name, TensorProto.INT64, axes) for name in inputs],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", outputs])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def run_graph(model: onnx.ModelProto, lengths: Sequence[int]) -> Floats:
    """Return the logits of random rows, of which the first is the same for every choice of lengths."""
    batch, first = make_batch(lengths), make_batch(ALONE)
    for name, values in first.items():
        batch[name][0, : ALONE[0]] = values[0]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: Floats = session.run(None, batch)[0][:, 0]
    return found


def make_batch(lengths: Sequence[int], *, seed: int = 1) -> dict[str, npt.NDArray[np.int64]]:
    """Return random tokens for rows of these lengths, padded."""
    random, width = np.random.default_rng(seed), max(lengths)
    mask = np.array([[place < length for place in range(width)] for length in lengths], np.int64)
    ids = random.integers(5, 97, mask.shape) * mask
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": mask * (np.arange(width) > 4)}

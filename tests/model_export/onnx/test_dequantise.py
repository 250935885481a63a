"""Graphs that onnxruntime.quantization writes become float32 again, and others are refused by name."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.errors import ExportError
from model_export.onnx.dequantise import dequantise, is_quantised
from tests.support.small_cross_encoder import ALONE, LONGER, make_graph, run_graph

pytestmark = pytest.mark.export

Constants = dict[str, npt.NDArray[np.generic]]


def quantised(folder: Path, weights: QuantType, *, per_channel: bool) -> onnx.ModelProto:
    onnx.save(make_graph(), folder / "float.onnx")
    quantize_dynamic(
        folder / "float.onnx", folder / "int8.onnx", weight_type=weights, per_channel=per_channel
    )
    return onnx.load(folder / "int8.onnx")


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("weights", [QuantType.QInt8, QuantType.QUInt8])
def test_a_score_no_longer_depends_on_its_batch(
    tmp_path: Path, weights: QuantType, per_channel: bool
) -> None:
    model = quantised(tmp_path, weights, per_channel=per_channel)
    kinds = {node.op_type for node in model.graph.node}
    assert kinds >= {"MatMulInteger", "DynamicQuantizeLinear", "DequantizeLinear"}
    assert is_quantised(model)
    before = run_graph(model, LONGER)
    assert abs(run_graph(model, ALONE)[0] - before[0]) > 1e-3, "this is what the step is for"
    dequantise(model)
    assert not is_quantised(model)
    after = run_graph(model, LONGER)
    assert run_graph(model, ALONE)[0] == pytest.approx(after[0], abs=1e-5)
    expected = run_graph(with_rounded_weights(onnx.load(tmp_path / "int8.onnx")), LONGER)
    assert after == pytest.approx(expected, abs=1e-4)
    assert after == pytest.approx(run_graph(make_graph(), LONGER), abs=0.5), (
        "the weights are the rounded ones"
    )


def with_rounded_weights(quantised: onnx.ModelProto) -> onnx.ModelProto:
    """Return the float graph with the weights of the quantised one, by its writer's names."""
    tensors = quantised.graph.initializer
    known = {each.name: numpy_helper.to_array(each).astype(np.float32) for each in tensors}
    model = make_graph()
    for tensor in model.graph.initializer:
        if f"{tensor.name}_quantized" in known:
            integers, scale, zero = (
                known[f"{tensor.name}_{part}"] for part in ("quantized", "scale", "zero_point")
            )
            tensor.CopyFrom(numpy_helper.from_array((integers - zero) * scale, tensor.name))
    return model


def test_products_that_onnx_runtime_fused_are_known(tmp_path: Path) -> None:
    plain = quantised(tmp_path, QuantType.QInt8, per_channel=False)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")
    onnxruntime.InferenceSession(str(tmp_path / "int8.onnx"), options, providers=["CPUExecutionProvider"])
    fused = onnx.load(tmp_path / "fused.onnx")
    assert {node.op_type for node in fused.graph.node} >= {"DynamicQuantizeMatMul", "MatMulIntegerToFloat"}
    dequantise(plain)
    dequantise(fused)
    assert run_graph(fused, LONGER) == pytest.approx(run_graph(plain, LONGER), abs=1e-4)


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_weights_alone_in_integers_become_constants(axis: int | None) -> None:
    scales = np.array(0.1, np.float32) if axis is None else np.array([0.1, 0.2], np.float32)
    zeros = np.full(scales.shape, 3, np.int8)
    integers = np.array([[10, -20], [30, 40]], np.int8)
    restore = helper.make_node("DequantizeLinear", ["w", "scale", "zero"], ["float_w"])
    if axis is not None:
        restore.attribute.append(helper.make_attribute("axis", axis))
    model = make_model(
        [restore, helper.make_node("MatMul", ["x", "float_w"], ["y"])],
        {"w": integers, "scale": scales, "zero": zeros},
    )
    dequantise(model)
    assert [node.op_type for node in model.graph.node] == ["MatMul"]
    laid = scales if axis is None else scales.reshape([-1 if axis == i else 1 for i in range(2)])
    expected = (integers.astype(np.float32) - 3) * laid
    assert numpy_helper.to_array(model.graph.initializer[0]) == pytest.approx(expected)


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["y"], name="the_node"),
        helper.make_node("QuickQuantNBits", ["x", "w"], ["y"], name="the_node", domain="com.microsoft"),
        helper.make_node("QAttention", ["x", "w"], ["y"], name="the_node", domain="com.microsoft"),
        helper.make_node("MatMulInteger", ["x", "w"], ["y"], name="the_node"),
        helper.make_node("Identity", ["w"], ["y"], name="the_node"),
    ],
)
def test_what_is_not_known_is_refused_by_name(node: onnx.NodeProto) -> None:
    constants: Constants = {
        "w": np.ones((2, 2), np.int8),
        "scale": np.array(0.1, np.float32),
        "zero": np.array(0, np.int8),
    }
    model = make_model([node], constants)
    assert is_quantised(model)
    with pytest.raises(ExportError, match=rf"found {node.op_type} \(the_node\): give the model as it was"):
        dequantise(model)


def make_model(nodes: list[onnx.NodeProto], constants: Constants) -> onnx.ModelProto:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", TensorProto.FLOAT, ["n", 2])],
        [value("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(each, name) for name, each in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

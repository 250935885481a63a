"""Products in integers with one scale a token: near float32, and the same in any batch."""

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.errors import ExportError
from model_export.onnx.integer_products import quantise_products
from tests.support.small_cross_encoder import ALONE, LONGER, make_graph, run_graph

pytestmark = pytest.mark.export


@pytest.mark.parametrize("opset", [13, 17, 18, 21])
def test_scores_are_near_float32_and_independent_of_the_batch(opset: int) -> None:
    model = make_graph(opset=opset)
    exact = run_graph(model, LONGER)
    quantise_products(model)
    counts = Counter(node.op_type for node in model.graph.node)
    assert counts["MatMulIntegerToFloat"] == 3, "query, key and value are one product"
    assert counts["MatMul"] == 0
    assert counts["Gemm"] == 1, "the last layer stays in float32"
    found = run_graph(model, LONGER)
    assert found == pytest.approx(exact, abs=0.05 * float(np.abs(exact).max()))
    assert np.abs(found - exact).max() > 1e-6
    assert run_graph(model, ALONE)[0] == pytest.approx(found[0], abs=1e-5)


def test_a_graph_without_such_products_is_refused() -> None:
    model = make_graph()
    for node in model.graph.node:
        if node.op_type == "MatMul":
            node.op_type, node.input[1] = "Add", "b_class"
    with pytest.raises(ExportError, match=r"expected products with constant float32 weights.*found 0 in"):
        quantise_products(model)
    with pytest.raises(ExportError, match=r"opset 13 or later, found 3 in opset 11"):
        quantise_products(make_graph(opset=11))


def test_weights_that_are_not_finite_are_refused() -> None:
    model = make_graph()
    [tensor] = [each for each in model.graph.initializer if each.name == "w_inner"]
    values = numpy_helper.to_array(tensor).copy()
    values[3, 4] = np.nan
    tensor.CopyFrom(numpy_helper.from_array(values, "w_inner"))
    with pytest.raises(ExportError, match="expected finite weights, found NaN or infinity in what reads y"):
        quantise_products(model)
    assert isinstance(model, onnx.ModelProto)

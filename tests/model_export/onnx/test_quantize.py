"""Weights and embedding tables in integers."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.onnx.quantize import LARGEST, DenseLayer, find_column_divisor, quantise_layer, quantise_rows

pytestmark = pytest.mark.export


def test_integers_cannot_overflow_sixteen_bits() -> None:
    generator = np.random.default_rng(3)
    weight = generator.standard_normal((8, 16)).astype(np.float32)
    layer = quantise_layer(DenseLayer("d", weight, np.zeros(8, np.float32)), np.ones(16, np.float32), 0.5)
    assert np.abs(layer.integers).max() <= LARGEST
    assert 2 * 255 * LARGEST < 2**15
    restored = layer.integers * layer.scales[:, None] / layer.divisor
    np.testing.assert_allclose(restored, weight, atol=0.05)


def test_even_columns_are_kept_and_an_outlying_one_is_scaled() -> None:
    table = np.random.default_rng(4).normal(size=(400, 24)).astype(np.float32)
    assert find_column_divisor(table) is None
    table[:, 5] *= 50
    divisor = find_column_divisor(table)
    assert divisor is not None
    plain, evened = quantise_rows(table), quantise_rows(table / divisor)
    before = np.abs(plain[0] * plain[1] - table)
    after = np.abs(evened[0] * evened[1] * divisor - table)
    others = np.arange(24) != 5
    assert after[:, others].mean() < 0.25 * before[:, others].mean()

"""Fewer dimensions: the rotation keeps dot products, and a base is rotated by it."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.errors import ExportError
from model_export.model.base import load_base
from model_export.model.reference import encode_in_torch
from model_export.model.rotation import fit_rotation, reduce_dimensions
from tests.bundles.make_tiny import make_tiny

pytestmark = pytest.mark.export


IDS = [[2, 7, 8, 9, 3], [2, 30, 3], [2, *range(5, 60), 3]]


def test_the_rotation_keeps_dot_products_of_what_lies_in_few_directions() -> None:
    random = np.random.default_rng(1)
    vectors = (random.normal(size=(50, 3)) @ random.normal(size=(3, 8))).astype(np.float32)
    rows = fit_rotation(vectors, 3)
    assert rows @ rows.T == pytest.approx(np.eye(3), abs=1e-5)
    turned = vectors @ rows.T
    assert turned @ turned.T == pytest.approx(vectors @ vectors.T, rel=1e-3, abs=1e-3)
    assert np.array_equal(fit_rotation(vectors, 3), rows)
    with pytest.raises(ExportError, match="expected at least 9 vectors"):
        fit_rotation(vectors, 9)


def test_a_reduced_base_gives_the_turned_vectors(tmp_path: Path) -> None:
    base = load_base(str(make_tiny(tmp_path)))
    whole = encode_in_torch(base.query, IDS)
    rows = fit_rotation(np.random.default_rng(0).normal(size=(99, 32)).astype(np.float32), 8)
    once, twice = (
        reduce_dimensions(base, rows),
        reduce_dimensions(reduce_dimensions(base, rows), np.eye(8, dtype=np.float32)[:4]),
    )
    expected = whole @ rows.T
    assert encode_in_torch(once.query, IDS) == pytest.approx(
        expected / np.linalg.norm(expected, axis=1, keepdims=True), abs=1e-5
    )
    assert (twice.query.dim, once.query.dim, base.query.dim) == (4, 8, 32)
    assert once.is_shared

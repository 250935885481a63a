"""Smaller vectors: the rotation keeps what it can, and a reduced base exports."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.support.paths import TINY_BUNDLE

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.__main__ import main
from model_export.errors import ExportError
from model_export.model.base import load_base
from model_export.model.reference import encode_in_torch
from model_export.model.rotation import fit_rotation, reduce_dimensions
from reranker.bundle import Bundle
from reranker.canonical import replay
from tests.bundles.make_tiny import make_tiny
from tests.support.small_collection import write_small_collection

pytestmark = pytest.mark.export

TINY = TINY_BUNDLE
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


def test_export_and_the_table_of_sizes(tmp_path: Path) -> None:
    data = write_small_collection(tmp_path / "stdlib", num_documents=80, num_queries=12)
    base, out = make_tiny(tmp_path / "base"), tmp_path / "out"
    run = CliRunner()
    options = ["export", "--base", str(base), "--out", str(out), "--dim", "24"]
    assert "--dim needs --sample" in run.invoke(main, options).output
    done = run.invoke(main, [*options, "--sample", str(data)])
    assert done.exit_code == 0, done.output
    assert Bundle.open(out).manifest.dim == 24
    assert replay(Bundle.open(out)).within
    document = tmp_path / "models.md"
    document.write_text("<!-- sizes: begin -->\n<!-- sizes: end -->\n")
    folders = [TINY, data, data, tmp_path / "cache", document]
    names = ["--bundle", "--judged", "--sample", "--cache", "--document"]
    options = [str(each) for pair in zip(names, folders, strict=True) for each in pair]
    done = run.invoke(main, ["sizes", *options, "--dims", "32", "--dims", "16"])
    assert done.exit_code == 0, done.output
    rows = [line.split("|")[1:-1] for line in document.read_text().splitlines() if line.startswith("| ")][1:]
    assert [row[0].strip() for row in rows] == [
        f"{dim}, {name}" for dim in (32, 16) for name in ("float32", "float16", "int8")
    ]
    assert [int(row[1]) for row in rows] == [148, 84, 56, 84, 52, 40]
    assert float(rows[0][-1]) == 0

"""The table of vector sizes, and the export of fewer dimensions."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.paths import TINY_BUNDLE

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.__main__ import main
from reranker.bundle import Bundle
from reranker.canonical import replay
from tests.bundles.make_tiny import make_tiny
from tests.support.indices.small_collection import write_small_collection

pytestmark = pytest.mark.export

TINY = TINY_BUNDLE


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
    done = run.invoke(main, ["sizes", "--write", *options, "--dims", "32", "--dims", "16"])
    assert done.exit_code == 0, done.output
    rows = [line.split("|")[1:-1] for line in document.read_text().splitlines() if line.startswith("| ")][1:]
    assert [row[0].strip() for row in rows] == [
        f"{dim}, {name}" for dim in (32, 16) for name in ("float32", "float16", "int8")
    ]
    assert [int(row[1]) for row in rows] == [148, 84, 56, 84, 52, 40]
    assert float(rows[0][-1]) == 0

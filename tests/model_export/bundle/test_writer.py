"""The export of a tiny random BERT, end to end through torch and ONNX Runtime."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner

pytest.importorskip("torch", reason="needs torch: the export extra")

import torch

from model_export.__main__ import main
from model_export.bundle.compare import Limits, check_exact
from model_export.bundle.manifest import DOCUMENT_FILE, QUERY_FILE
from model_export.bundle.writer import ExportOptions, export
from model_export.errors import ExportError
from model_export.model.base import Base, load_base
from model_export.onnx.encoder import check_fusion
from reranker.bundle import Bundle
from reranker.canonical import replay
from tests.bundles.make_tiny import make_tiny

pytestmark = pytest.mark.export

LAYERS = 2
IDS = [[2, 7, 8, 9, 3], [2, 30, 3], [2, *range(5, 60), 3]]


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("base"), layers=LAYERS)


@pytest.fixture(scope="module")
def base(base_folder: Path) -> Base:
    return load_base(str(base_folder))


@pytest.fixture(scope="module")
def bundle(base: Base, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    out = tmp_path_factory.mktemp("out") / "tiny"
    export(base, out)
    return Bundle.open(out)


def test_bundle_is_whole_and_replays_torch(bundle: Bundle) -> None:
    assert replay(bundle).within
    assert sorted(file.name for file in bundle.path.iterdir()) == sorted(
        [*bundle.manifest.checksums, "manifest.json"]
    )


def test_tokenizer_neither_pads_nor_cuts(base: Base, bundle: Bundle) -> None:
    assert json.loads(base.tokenizer)["truncation"] is not None
    tokenizer = json.loads((bundle.path / bundle.manifest.tokenizer).read_text())
    assert tokenizer["padding"] is None
    assert tokenizer["truncation"] is None


@pytest.mark.parametrize("file", ["query_encoder.onnx", "document_encoder.onnx"])
def test_each_layer_is_fused_and_in_integers(bundle: Bundle, file: str) -> None:
    model = onnx.load(bundle.path / file, load_external_data=False)
    check_fusion(model, LAYERS)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("DynamicQuantizeMatMul") + kinds.count("MatMulIntegerToFloat") == 4 * LAYERS
    assert "MatMul" not in kinds


def test_towers_share_their_weights(bundle: Bundle) -> None:
    def references(file: str) -> set[tuple[str, str]]:
        graph = onnx.load(bundle.path / file, load_external_data=False).graph
        entries = [{e.key: e.value for e in t.external_data} for t in graph.initializer if t.external_data]
        return {(entry["offset"], entry["length"]) for entry in entries}

    assert references("query_encoder.onnx") == references("document_encoder.onnx") != set()


def test_float32_graph_is_torch(base: Base, tmp_path: Path) -> None:
    assert check_exact(base.query, IDS, tmp_path) < 1e-5


def test_export_is_reproducible(base: Base, bundle: Bundle, tmp_path: Path) -> None:
    export(base, tmp_path / "again")
    assert Bundle.open(tmp_path / "again").manifest == bundle.manifest


def test_too_far_from_torch_leaves_nothing(base: Base, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="expected the export to stay within"):
        export(base, tmp_path / "out", ExportOptions(limits=Limits(query_cosine=0.9999999)))
    assert list(tmp_path.iterdir()) == []


def test_too_large_leaves_nothing(base: Base, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="expected a bundle of at most 1000 bytes"):
        export(base, tmp_path / "out", ExportOptions(max_bytes=1000))
    assert list(tmp_path.iterdir()) == []


def test_existing_folder_is_not_touched(base: Base, bundle: Bundle) -> None:
    with pytest.raises(ExportError, match="expected no folder"):
        export(base, bundle.path)
    assert replay(bundle).within


def test_command_line_exports_and_compares(base_folder: Path, tmp_path: Path) -> None:
    run, out = CliRunner(), tmp_path / "out"
    done = run.invoke(main, ["export", "--base", str(base_folder), "--out", str(out)])
    assert done.exit_code == 0, done.output
    done = run.invoke(main, ["compare", str(out), "--base", str(base_folder)])
    assert "query_cosine_min=0.99" in done.output
    done = run.invoke(main, ["export", "--base", "none-such", "--out", str(tmp_path / "b")])
    assert done.exit_code == 1
    assert "Error: expected --base" in done.output


def test_a_table_with_an_outlying_column_is_exported_near_torch(base: Base, tmp_path: Path) -> None:
    query = copy.deepcopy(base.query)
    with torch.no_grad():
        query.bert.embeddings.word_embeddings.weight[:, 3] *= 8
    export(replace(base, query=query), tmp_path / "out")
    evened = {}
    for file in (QUERY_FILE, DOCUMENT_FILE):
        constants = onnx.load(tmp_path / "out" / file, load_external_data=False).graph.initializer
        evened[file] = any(each.name == "word_columns" for each in constants)
    assert evened == {QUERY_FILE: True, DOCUMENT_FILE: False}
    assert replay(Bundle.open(tmp_path / "out")).within

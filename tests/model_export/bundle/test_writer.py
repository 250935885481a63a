"""The export of a tiny random BERT, end to end through torch and ONNX Runtime."""

import copy
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
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
from model_export.model.reference import encode_in_torch
from model_export.model.tower import Tower
from model_export.onnx.encoder import build_encoder, check_fusion
from model_export.onnx.linear import make_document_linear, make_query_linear
from model_export.onnx.quantize import (
    LARGEST,
    DenseLayer,
    find_column_divisor,
    measure_peaks,
    quantise_layer,
    quantise_rows,
)
from model_export.onnx.weights import WeightFile
from reranker.bundle import Bundle
from reranker.canonical import replay
from reranker.encoder import Encoder
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


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_padding_changes_no_document(base: Base, tmp_path: Path, pooling: str) -> None:
    pooled = Tower(base.query.bert, pooling)
    weights = WeightFile()
    onnx.save(
        build_encoder(pooled, make_document_linear(measure_peaks(pooled, IDS)), weights), tmp_path / "d.onnx"
    )
    weights.write(tmp_path)
    documents = Encoder(tmp_path / "d.onnx")
    batch = documents.encode_ids(IDS)
    alone = np.concatenate([documents.encode_ids([ids]) for ids in IDS])
    np.testing.assert_allclose(batch, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(batch, axis=1), 1, atol=1e-5)
    assert (batch * encode_in_torch(pooled, IDS)).sum(axis=1).min() > 0.99


def test_export_is_reproducible(base: Base, bundle: Bundle, tmp_path: Path) -> None:
    export(base, tmp_path / "again")
    assert Bundle.open(tmp_path / "again").manifest == bundle.manifest


def test_integers_cannot_overflow_sixteen_bits() -> None:
    generator = np.random.default_rng(3)
    weight = generator.standard_normal((8, 16)).astype(np.float32)
    layer = quantise_layer(DenseLayer("d", weight, np.zeros(8, np.float32)), np.ones(16, np.float32), 0.5)
    assert np.abs(layer.integers).max() <= LARGEST
    assert 2 * 255 * LARGEST < 2**15
    restored = layer.integers * layer.scales[:, None] / layer.divisor
    np.testing.assert_allclose(restored, weight, atol=0.05)


def test_graph_without_fused_attention_is_refused(base: Base) -> None:
    model = build_encoder(base.query, make_query_linear(measure_peaks(base.query, IDS)), WeightFile())
    attention = next(node for node in model.graph.node if node.op_type == "MultiHeadAttention")
    attention.op_type = "Softmax"
    with pytest.raises(ExportError, match=r"expected the fused nodes .* fusion was lost"):
        check_fusion(model, LAYERS)


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


def test_unknown_pooling_is_refused(base: Base) -> None:
    with pytest.raises(ExportError, match="found 'last'"):
        Tower(base.query.bert, "last")


@pytest.mark.parametrize("missing", ["base.json", "tokenizer.json", "config.json", "model.safetensors"])
def test_incomplete_base_says_what_is_missing(base_folder: Path, tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "base"
    shutil.copytree(base_folder, folder)
    (folder / missing).unlink()
    with pytest.raises(ExportError, match=r"expected .*json"):
        load_base(str(folder))


def test_weights_that_are_missing_are_not_made_up(base_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    shutil.copytree(base_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": LAYERS + 1}))
    with pytest.raises(ExportError, match=r"encoder\.layer\.2"):
        load_base(str(folder))


def test_command_line_exports_and_compares(base_folder: Path, tmp_path: Path) -> None:
    run, out = CliRunner(), tmp_path / "out"
    done = run.invoke(main, ["export", "--base", str(base_folder), "--out", str(out)])
    assert done.exit_code == 0, done.output
    done = run.invoke(main, ["compare", str(out), "--base", str(base_folder)])
    assert "query_cosine_min=0.99" in done.output
    done = run.invoke(main, ["export", "--base", "none-such", "--out", str(tmp_path / "b")])
    assert done.exit_code == 1
    assert "Error: expected --base" in done.output


def test_columns_of_one_reach_are_left_alone_and_an_outlying_one_is_evened_out() -> None:
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

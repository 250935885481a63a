"""The graph of an encoder: fused nodes, and vectors that padding does not change."""

from pathlib import Path

import numpy as np
import onnx
import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.errors import ExportError
from model_export.model.base import Base, load_base
from model_export.model.reference import encode_in_torch
from model_export.model.tower import Tower
from model_export.onnx.encoder import build_encoder, check_fusion
from model_export.onnx.linear import make_document_linear, make_query_linear
from model_export.onnx.quantize import measure_peaks
from model_export.onnx.weights import WeightFile
from reranker.encoder import Encoder
from tests.bundles.make_tiny import make_tiny

pytestmark = pytest.mark.export

LAYERS = 2
IDS = [[2, 7, 8, 9, 3], [2, 30, 3], [2, *range(5, 60), 3]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return load_base(str(make_tiny(tmp_path_factory.mktemp("base"), layers=LAYERS)))


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


def test_graph_without_fused_attention_is_refused(base: Base) -> None:
    model = build_encoder(base.query, make_query_linear(measure_peaks(base.query, IDS)), WeightFile())
    attention = next(node for node in model.graph.node if node.op_type == "MultiHeadAttention")
    attention.op_type = "Softmax"
    with pytest.raises(ExportError, match=r"expected the fused nodes .* fusion was lost"):
        check_fusion(model, LAYERS)

"""Folders that people bring to `twinrank-export export --base`: read rightly, or refused by name at once."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    MPNetConfig,
    MPNetModel,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from model_export.bundle.writer import ExportOptions, export
from model_export.errors import ExportError
from model_export.model.base import load_base
from model_export.model.reference import encode_in_torch
from model_export.model.tower import Tower
from model_export.model.twin import TowerShape, TwinBert, TwinShape
from reranker.bundle import Bundle
from tests.bundles.make_tiny import make_tiny
from tests.support.json_files import change

pytestmark = pytest.mark.export

SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("base"))


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "model"))


def vocabulary(folder: Path) -> int:
    size: int = json.loads((folder / "config.json").read_text())["vocab_size"]
    return size


@pytest.mark.parametrize(
    ("model", "config"),
    [
        (XLMRobertaModel, XLMRobertaConfig),
        (RobertaModel, RobertaConfig),
        (MPNetModel, MPNetConfig),
        (DistilBertModel, DistilBertConfig),
    ],
)
def test_another_architecture_is_refused_by_its_name(folder: Path, model: Any, config: Any) -> None:  # noqa: ANN401
    for name in ("config.json", "model.safetensors"):
        (folder / name).unlink()
    shape = (
        SHAPE if model is not DistilBertModel else {"dim": 32, "n_layers": 1, "n_heads": 4, "hidden_dim": 64}
    )
    model(config(vocab_size=100, **shape)).save_pretrained(folder)
    with pytest.raises(
        ExportError, match=f"expected model_type bert, found '{config.model_type}'.*takes BERT"
    ):
        load_base(str(folder))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model_type", "modernbert", "found 'modernbert'"),
        ("model_type", "nomic_bert", "found 'nomic_bert'"),
        ("model_type", None, "expected model_type bert, found None"),
        ("auto_map", {"AutoModel": "m.M"}, "expected auto_map none"),
        ("quantization_config", {"quant_method": "gptq"}, "before quantization"),
        ("position_embedding_type", "relative_key", "expected position_embedding_type none or absolute"),
        ("hidden_act", "gelu_new", "expected hidden_act gelu, found 'gelu_new'"),
        ("pad_token_id", 1, "expected pad_token_id none or 0, found 1"),
        ("is_decoder", True, "expected is_decoder none or False, found True"),
        ("pruned_heads", {"0": [1]}, "expected pruned_heads none"),
        ("architectures", ["HF_ColBERT"], "expected architectures of BertModel.* found HF_ColBERT"),
        ("vocab_size", "many", "expected vocab_size as a whole number"),
    ],
)
def test_a_config_of_another_kind_is_refused(folder: Path, key: str, value: object, message: str) -> None:
    change(folder / "config.json", **{key: value})
    with pytest.raises(ExportError, match=message):
        load_base(str(folder))


def test_a_cross_encoder_is_no_encoder(folder: Path) -> None:
    BertForSequenceClassification(BertConfig(vocab_size=vocabulary(folder), **SHAPE)).save_pretrained(folder)
    with pytest.raises(ExportError, match="found BertForSequenceClassification: a classifier"):
        load_base(str(folder))


def test_weights_that_nothing_would_read_are_refused_and_usual_heads_are_not(folder: Path) -> None:
    BertForMaskedLM(BertConfig(vocab_size=vocabulary(folder), **SHAPE)).save_pretrained(folder)
    assert load_base(str(folder)).query.num_layers == 1
    weights = load_file(folder / "model.safetensors")
    save_file(weights | {"linear.weight": torch.ones(8, 32)}, folder / "model.safetensors")
    with pytest.raises(ExportError, match=r"found \['linear\.weight'\], which would be left out"):
        load_base(str(folder))


def test_an_adapter_is_not_left_out(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ExportError, match="merge the adapter"):
        load_base(str(folder))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_are_read_as_float32(folder: Path, tmp_path: Path, kind: torch.dtype) -> None:
    model: Any = BertModel.from_pretrained(folder, add_pooling_layer=False)
    model.to(kind).save_pretrained(folder)
    base = load_base(str(folder))
    assert {weight.dtype for weight in base.query.parameters()} == {torch.float32}
    # What transformers itself gives for the same files, in double precision.
    model = AutoModel.from_pretrained(folder, dtype=torch.float64).eval()
    ids = [2, 7, 8, 9, 3]
    with torch.no_grad():
        mean = model(torch.tensor([ids])).last_hidden_state.mean(dim=1)
    expected = torch.nn.functional.normalize(mean, dim=1).numpy()
    np.testing.assert_allclose(encode_in_torch(base.query, [ids]), expected, atol=1e-5)
    export(base, tmp_path / "bundle", ExportOptions(precision="fp32"))
    assert Bundle.open(tmp_path / "bundle").manifest.dim == 32


def test_integers_and_broken_numbers_are_refused(folder: Path) -> None:
    file = folder / "model.safetensors"
    weights, name = load_file(file), "encoder.layer.0.output.dense.weight"
    save_file(weights | {name: weights[name].to(torch.int8)}, file)
    with pytest.raises(ExportError, match=r"expected weights of the types .* found I8 \(encoder\.layer\.0"):
        load_base(str(folder))
    save_file(weights | {name: weights[name] * float("nan")}, file)
    with pytest.raises(ExportError, match=f"expected finite weights .* in {name}"):
        load_base(str(folder))
    save_file(weights | {name: weights[name].double() + 1e300}, file)
    with pytest.raises(ExportError, match="expected finite weights"):
        load_base(str(folder))


def test_a_trained_models_weights_are_looked_at_alike(folder: Path) -> None:
    shape = TowerShape(
        rows=vocabulary(folder), layers=1, hidden=32, heads=4, intermediate=64, max_tokens=64,
        input="word_pieces", pooling="mean",
    )  # fmt: skip
    twin, file = TwinBert.from_shape(TwinShape(shape, None, "cosine")), folder / "twin.safetensors"
    twin.save(folder)
    assert load_base(str(folder)).query.dim == 32
    weights, name = load_file(file), "query.bert.encoder.layer.0.output.dense.weight"
    save_file(weights | {name: weights[name].to(torch.int8)}, file)
    with pytest.raises(ExportError, match="found I8"):
        load_base(str(folder))
    save_file(weights | {name: weights[name] * float("inf")}, file)
    with pytest.raises(ExportError, match="expected finite weights"):
        load_base(str(folder))
    twin.save(folder)
    change(folder / "tokenizer.json", post_processor=None)
    with pytest.raises(ExportError, match="expected a post_processor"):
        load_base(str(folder))


@pytest.mark.parametrize("missing", ["base.json", "tokenizer.json", "config.json", "model.safetensors"])
def test_incomplete_base_says_what_is_missing(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(ExportError, match=r"expected .*json"):
        load_base(str(folder))


def test_weights_that_are_missing_are_not_made_up(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    layers = config["num_hidden_layers"]
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": layers + 1}))
    with pytest.raises(ExportError, match=rf"encoder\.layer\.{layers}"):
        load_base(str(folder))


def test_unknown_pooling_is_refused(tiny: Path) -> None:
    with pytest.raises(ExportError, match="found 'last'"):
        Tower(load_base(str(tiny)).query.bert, "last")

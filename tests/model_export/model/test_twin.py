"""Towers, poolings, crossings and inputs in torch, and what of them arrives in a bundle."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

import torch

from model_export.bundle.compare import Limits
from model_export.bundle.writer import ExportOptions, export
from model_export.errors import ExportError
from model_export.model.base import Base, load_base
from model_export.model.crossing import CosineCrossing, ResidualCrossing
from model_export.model.pooling import Mean, Weighted
from model_export.model.tower import Tower
from model_export.model.twin import TowerShape, TwinBert, TwinShape
from reranker.bundle import Bundle
from reranker.canonical import replay
from reranker.encoder import Ids
from tests.bundles.make_tiny import make_tiny

pytestmark = pytest.mark.export

BUCKETS = 200
PIECES: list[Ids] = [[2, 7, 8, 9, 3], [2, 30, 3]]
LETTERS: list[Ids] = [[[1], [3, 4, 5], [9]], [[1], [7, 7]]]


def shape(**changes: object) -> TowerShape:
    values = {
        "rows": BUCKETS + 3, "layers": 1, "hidden": 16, "heads": 2, "intermediate": 32, "max_tokens": 64,
        "input": "tri_letters", "pooling": "weighted",
    }  # fmt: skip
    return TowerShape(**(values | changes))  # type: ignore[arg-type]  # a test's own values


def lively(twin: TwinBert) -> TwinBert:
    """Random weights of the usual size hardly tell texts apart: make them wide, and positions small."""
    with torch.no_grad():
        for tower in {twin.query, twin.document}:
            for name, weight in tower.bert.named_parameters():
                if weight.dim() == 2:
                    weight.mul_(0.5 if "position" in name else 10)
    frozen: TwinBert = twin.train(mode=False)
    return frozen


def base_of(twin: TwinBert, tokenizer: str) -> Base:
    return Base(
        name="made", query=twin.query, document=twin.document, tokenizer=tokenizer, query_prefix="",
        origin="random weights", licence="Apache-2.0", trained_on=(), crossing=twin.crossing,
    )  # fmt: skip


def letters(buckets: int = BUCKETS) -> str:
    return json.dumps({"type": "tri_letters", "buckets": buckets})


def test_mean_and_weighted_pooling_leave_padding_out() -> None:
    states, mask = torch.randn(2, 3, 4), torch.tensor([[1, 1, 0], [1, 1, 1]])
    changed = states.clone()
    changed[0, 2] = 99
    weighted = Weighted(4)
    torch.nn.init.ones_(weighted.score.weight)
    for pooling in (Mean(), weighted):
        assert torch.allclose(pooling(states, mask), pooling(changed, mask))
    weights = states[1].sum(dim=1).softmax(dim=0)
    assert torch.allclose(weighted(states, mask)[1], weights @ states[1], atol=1e-6)


def test_a_word_is_the_sum_of_its_trigrams() -> None:
    tower = shape(pooling="mean").build().train(mode=False)
    table = tower.bert.embeddings.word_embeddings.weight
    with torch.no_grad():
        table[10] = table[4] + table[5]
        table[0] = 7  # padding, whatever its row holds, adds nothing
        assert torch.allclose(
            tower.encode([[[1], [4, 5]]]), tower.encode([[[1], [10]], [[1], [3, 4, 9]]])[:1], atol=1e-5
        )


def test_the_residual_crossing_is_the_one_that_searches() -> None:
    torch.manual_seed(1)
    layer = ResidualCrossing(16, 5)
    vectors = torch.nn.functional.normalize(torch.randn(7, 16), dim=1)
    with torch.no_grad():
        expected = layer(vectors[:1], vectors).numpy()
    assert layer.to_runtime()(vectors[0].numpy(), vectors.numpy()) == pytest.approx(expected, abs=1e-5)
    cosine = CosineCrossing(10.0, -5.0)
    assert cosine(vectors[:1], vectors)[0].item() == pytest.approx(5.0, abs=1e-4)


def test_segments_are_gone_and_change_nothing(tmp_path: Path) -> None:
    from transformers import BertModel

    bert = BertModel.from_pretrained(make_tiny(tmp_path), add_pooling_layer=False).train(mode=False)
    torch.nn.init.normal_(bert.embeddings.token_type_embeddings.weight)
    ids = torch.tensor([PIECES[0]])
    with torch.no_grad():
        before = torch.nn.functional.normalize(bert(ids).last_hidden_state[:, 0], dim=1)
        assert torch.allclose(Tower(bert, "cls").encode([PIECES[0]]), before, atol=1e-5)
        assert torch.allclose(Tower(bert, "cls").encode([PIECES[0]]), before, atol=1e-5), "moved twice"


def test_layers_can_be_kept_one_by_one(tmp_path: Path) -> None:
    whole = load_base(str(make_tiny(tmp_path, layers=4))).query
    some = whole.with_layers([0, 3])
    assert (some.num_layers, whole.num_layers) == (2, 4)
    kept = some.bert.state_dict()["encoder.layer.1.output.dense.weight"]
    assert torch.equal(kept, whole.bert.state_dict()["encoder.layer.3.output.dense.weight"])


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("crossing", ["cosine", "residual"])
def test_a_trained_model_is_saved_whole(tmp_path: Path, separate: bool, crossing: str) -> None:
    about = TwinShape(shape(dim=8), shape(dim=8, layers=2) if separate else None, crossing, 4)  # type: ignore[arg-type]
    twin = TwinBert.from_shape(about)
    twin.save(tmp_path)
    read = TwinBert.load(tmp_path)
    assert read.shape == twin.shape == (about if crossing == "residual" else about_cosine(about))
    for name, tensor in twin.state_dict().items():
        assert torch.equal(read.state_dict()[name], tensor)
    assert (read.document is read.query) is not separate


def about_cosine(about: TwinShape) -> TwinShape:
    return TwinShape(about.query, about.document, "cosine", None)


def test_a_damaged_or_other_model_is_refused(tmp_path: Path) -> None:
    twin = TwinBert.from_shape(TwinShape(shape(), None, "cosine"))
    twin.save(tmp_path)
    text = (tmp_path / "twin.json").read_text()
    (tmp_path / "twin.json").write_text(text.replace('"layers": 1', '"layers": 2'))
    with pytest.raises(ExportError, match=r"expected the weights that .*layer\.1"):
        TwinBert.load(tmp_path)
    (tmp_path / "twin.json").write_text(text)
    (tmp_path / "twin.safetensors").write_bytes(b"garbage")
    with pytest.raises(ExportError, match="expected a trained model in"):
        TwinBert.load(tmp_path)
    with pytest.raises(ExportError, match="expected towers of one dimension"):
        TwinBert(shape(dim=4).build(), shape(dim=8).build(), CosineCrossing())


@pytest.mark.parametrize(
    ("pooling", "precision", "crossing", "separate"),
    [
        ("cls", "int8", "cosine", False),
        ("mean", "fp32", "cosine", True),
        ("weighted", "int8", "residual", True),
        ("weighted", "fp32", "residual", False),
    ],
)
def test_every_form_is_exported_and_replays_torch(
    tmp_path: Path,
    pooling: str,
    precision: str,
    crossing: str,
    separate: bool,
) -> None:
    torch.manual_seed(4)
    one = shape(pooling=pooling, dim=12)
    twin = lively(TwinBert.from_shape(TwinShape(one, one if separate else None, crossing, 6)))  # type: ignore[arg-type]
    export(base_of(twin, letters()), tmp_path / "out", ExportOptions(precision=precision))  # type: ignore[arg-type]
    bundle = Bundle.open(tmp_path / "out")
    assert replay(bundle).within
    assert (bundle.manifest.input, bundle.manifest.pooling, bundle.manifest.dim) == (
        "tri_letters",
        pooling,
        12,
    )
    assert bundle.load_crossing().__class__.__name__.lower() == crossing
    encode = bundle.load_query_encoder()
    assert encode("read a file") @ encode("drill") < 0.99
    assert np.allclose(encode("Read a FILE"), encode("read a file"))


def test_documents_of_another_bundle_keep_their_vectors(tmp_path: Path) -> None:
    whole = load_base(str(make_tiny(tmp_path / "base", layers=4)))
    export(whole, tmp_path / "whole", ExportOptions(limits=Limits(score_difference=0.2, agreement=0.8)))
    bundle = Bundle.open(tmp_path / "whole")
    light = Base(
        name="light", query=whole.query.with_layers([0, 1]), document=whole.document,
        tokenizer=whole.tokenizer, query_prefix="", origin="", licence="Apache-2.0", trained_on=(),
    )  # fmt: skip
    wide = Limits(score_difference=0.2, agreement=0.8)  # random weights of four layers are far from smooth
    export(light, tmp_path / "light", ExportOptions(limits=wide, documents_of=bundle))
    made = Bundle.open(tmp_path / "light")
    assert made.model_tag == bundle.model_tag
    assert (made.name, made.vectors_of, bundle.vectors_of) == ("light", "tiny", "tiny")
    assert made.manifest.digest != bundle.manifest.digest
    assert replay(made).within
    sizes = [(tmp_path / "light" / name).stat().st_size for name in ("query_weights.bin", "weights.bin")]
    assert 0 < sizes[0] < sizes[1], "what the towers share is stored once"
    other = load_base(str(make_tiny(tmp_path / "base2")))
    changed = json.loads(other.tokenizer) | {"normalizer": None}
    strange = Base(**(light.__dict__ | {"tokenizer": json.dumps(changed)}))
    with pytest.raises(ExportError, match="expected the tokeniser of"):
        export(strange, tmp_path / "strange", ExportOptions(documents_of=bundle))
    assert not (tmp_path / "strange").exists()


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """The limit on a file's size is the operating system's own: writing fails as on a full disk."""
    base = make_tiny(tmp_path / "base")
    command = [
        sys.executable,
        "-m",
        "model_export",
        "export",
        "--base",
        str(base),
        "--out",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )  # fmt: skip
    assert done.returncode == 1
    assert "expected to write the bundle" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == ["base"]

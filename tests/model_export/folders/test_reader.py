"""Folders of every kind, read and exported: their vectors are those of the folder's own model."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

import torch
from safetensors.torch import load_file, save_file

from model_export.bundle.compare import Limits, check_exact
from model_export.bundle.reference import check_reference, tokenise_texts
from model_export.bundle.texts import (
    CANONICAL_DOCUMENTS,
    CANONICAL_QUERIES,
    SCRIPT_DOCUMENTS,
    SCRIPT_QUERIES,
    ExportTexts,
)
from model_export.bundle.writer import ExportOptions, Precision, export
from model_export.errors import ExportError
from model_export.folders.reader import FolderOptions, ModelFolder, TowerPlan
from model_export.folders.reference import Reference, TorchReference, open_reference
from model_export.model.prompts import PromptChoice
from reranker.bundle import Bundle
from reranker.text import Chunking
from tests.bundles.make_folder import make_folder, make_router, write_graph, write_transformer
from tests.support.json_files import change

pytestmark = pytest.mark.export

TEXTS = ExportTexts((*CANONICAL_QUERIES, *SCRIPT_QUERIES), (*CANONICAL_DOCUMENTS, *SCRIPT_DOCUMENTS))
PROMPTS = {"query": "find: ", "document": "passage: the "}
NO_LIMITS = Limits(0.95, 0.95, 0.2, 0.8)
"""Random tiny weights lose more in integers than trained ones."""


def list_references(folder: ModelFolder) -> list[Reference]:
    """Return what computes the folder's vectors here: torch always, sentence-transformers if installed."""
    return [TorchReference(folder), open_reference(folder)]


def check(folder: Path, scratch: Path, options: FolderOptions | None = None) -> ModelFolder:
    """Compare a folder, read here, with its own model, and its float32 graphs with torch."""
    opened = ModelFolder.open(folder, options or FolderOptions())
    base, file = opened.load(), scratch / "tokenizer.json"
    file.write_text(base.tokenizer)
    for reference in list_references(opened):
        least = check_reference(base, file, TEXTS, reference)
        assert least is not None
        assert least > 0.99999, reference.name
    queries, documents = tokenise_texts(base, file, base.query_prefix, TEXTS)
    assert check_exact(base.query, queries, scratch) < 1e-5
    assert check_exact(base.document, documents, scratch) < 1e-5
    return opened


@pytest.mark.parametrize(
    ("kind", "pooling", "after", "dim"),
    [
        ("bert", "mean", ["Normalize"], None),
        ("bert", "lasttoken", ["Dense:linear.Identity", "Normalize"], 8),
        ("distilbert", "cls", ["Dense:activation.Tanh"], None),
        ("roberta", "weightedmean", ["Normalize"], 16),
        ("xlm-roberta", "mean", ["Normalize", "Dense:activation.ReLU", "Normalize"], None),
        ("camembert", "mean", [], None),
        ("mpnet", "cls", ["Dense:activation.GELU"], None),
        ("mpnet", "mean", ["Dense:activation.Sigmoid"], None),
    ],
)
def test_a_folder_is_read_as_its_own_model_reads_it(
    tmp_path: Path, kind: str, pooling: str, after: Sequence[str], dim: int | None
) -> None:
    check(make_folder(tmp_path / "m", kind, pooling=pooling, after=after), tmp_path, FolderOptions(dim=dim))


@pytest.mark.parametrize("pooling", ["mean", "cls", "weightedmean", "lasttoken"])
def test_a_prompt_is_left_out_of_the_pooling(tmp_path: Path, pooling: str) -> None:
    make_folder(tmp_path / "m", pooling=pooling, include_prompt=False, prompts=PROMPTS, after=["Dense:"])
    opened = check(tmp_path / "m", tmp_path)
    skipped = [opened.sides[side].plan.skipped for side in ("query", "document")]
    assert skipped == [0, 0] if pooling == "lasttoken" else skipped[1] > skipped[0] > 2
    base = opened.load()
    assert base.shares_weights
    assert base.is_shared == (pooling == "lasttoken")


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta", "xlm-roberta", "mpnet"])
def test_a_folder_becomes_a_bundle(tmp_path: Path, kind: str) -> None:
    folder = make_folder(tmp_path / "m", kind, prompts=PROMPTS, after=["Dense:activation.Tanh", "Normalize"])
    opened = ModelFolder.open(folder, FolderOptions(name="mine", languages=("en", "de")))
    reference = TorchReference(opened)
    options = ExportOptions(texts=TEXTS, reference=reference, max_bytes=None, limits=NO_LIMITS)
    least_cosines: dict[Precision, float] = {"fp32": 0.9999, "int8": 0.99}
    for precision, least in least_cosines.items():
        out = tmp_path / precision
        export(opened.load(), out, replace(options, precision=precision))
        bundle = Bundle.open(out)
        found = bundle.load_document_encoder(threads=1)(TEXTS.documents, Chunking(max_chunks=1))
        expected = reference.encode("document", TEXTS.documents, max_tokens=90)
        assert (np.concatenate(found) * expected).sum(axis=1).min() > least
        query = bundle.load_query_encoder()(SCRIPT_QUERIES[0])
        assert query @ reference.encode("query", SCRIPT_QUERIES[:1], max_tokens=64)[0] > least
        manifest = bundle.manifest
        assert (manifest.query.prefix, manifest.document.prefix) == ("find: ", "passage: the ")
        assert (manifest.name, manifest.dim, manifest.languages) == ("mine", 24, ("en", "de"))
        assert (manifest.query.max_tokens, manifest.document.max_tokens) == (64, 90)


def test_sides_of_one_transformer_share_its_weights(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "m", include_prompt=False, prompts=PROMPTS)
    options = ExportOptions(texts=TEXTS, limits=NO_LIMITS)
    export(ModelFolder.open(folder).load(), tmp_path / "out", options)
    assert "query_weights.bin" not in Bundle.open(tmp_path / "out").manifest.checksums


def test_a_router_becomes_two_towers(tmp_path: Path) -> None:
    opened = check(make_router(tmp_path / "m"), tmp_path)
    base = opened.load()
    assert (base.query.num_layers, base.document.num_layers) == (1, 2)
    export(base, tmp_path / "out", ExportOptions(texts=TEXTS, limits=NO_LIMITS))
    assert Bundle.open(tmp_path / "out").manifest.dim == 24


@pytest.mark.parametrize(
    ("pooling", "after"), [("cls", []), ("mean", ["Dense:activation.GELU", "Normalize"]), ("lasttoken", [])]
)
def test_another_architecture_goes_through_its_own_graph(
    tmp_path: Path, pooling: str, after: Sequence[str]
) -> None:
    folder = make_folder(
        tmp_path / "m", "modernbert", pooling=pooling, after=after, prompts=PROMPTS, include_prompt=False
    )
    write_graph(folder)
    opened = check(folder, tmp_path)
    options = ExportOptions(texts=TEXTS, limits=NO_LIMITS)
    result = export(opened.load(), tmp_path / "out", options)
    assert result.comparison.document_cosine_mean > 0.997
    bundle = Bundle.open(tmp_path / "out")
    assert "query_weights.bin" not in bundle.manifest.checksums
    kinds = [node.op_type for node in onnx.load(bundle.files[bundle.manifest.query.file]).graph.node]
    assert kinds.count("MatMulIntegerToFloat") == 8
    float32 = export(opened.load(), tmp_path / "exact", replace(options, precision="fp32"))
    assert float32.comparison.document_cosine_min > 0.9999
    assert result.size_bytes < 0.75 * float32.size_bytes


def test_what_todays_sentence_transformers_writes_is_read(tmp_path: Path) -> None:
    library = pytest.importorskip("sentence_transformers", reason="needs sentence-transformers")
    for name, made in {
        "single": make_folder(tmp_path / "a", "mpnet", prompts=PROMPTS, after=["Dense:", "Normalize"]),
        "router": make_router(tmp_path / "b"),
    }.items():
        library.SentenceTransformer(str(made), device="cpu").save(str(tmp_path / name))
        check(tmp_path / name, tmp_path)


def test_weights_in_several_files_and_of_half_precision(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    places: dict[str, str] = {}
    half = len(weights) // 2
    for place, names in enumerate((sorted(weights)[:half], sorted(weights)[half:]), 1):
        file = f"model-0000{place}-of-00002.safetensors"
        kind = torch.float16 if place == 1 else torch.bfloat16
        save_file({f"bert.{name}": weights[name].to(kind) for name in names}, folder / file)
        places |= {f"bert.{name}": file for name in names}
    change(folder / "model.safetensors.index.json", metadata={}, weight_map=places)
    base = check(folder, tmp_path).load()
    assert {weight.dtype for weight in base.query.parameters()} == {torch.float32}


def test_the_limit_is_the_pipelines_or_the_tokenizers_or_the_positions(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "m", "roberta")

    def read_limit() -> int:
        return ModelFolder.open(folder).sides["document"].max_tokens

    change(folder / "tokenizer_config.json", model_max_length=80)
    assert read_limit() == 90
    (folder / "sentence_bert_config.json").rename(folder / "sentence_roberta_config.json")
    assert read_limit() == 90
    (folder / "sentence_roberta_config.json").unlink()
    assert read_limit() == 80
    change(folder / "tokenizer_config.json", model_max_length=int(1e30))
    assert read_limit() == 96


def test_a_folder_of_transformers_needs_its_pooling_said(tmp_path: Path) -> None:
    write_transformer(tmp_path / "m", "roberta")
    with pytest.raises(ExportError, match=r"expected 1_Pooling/config\.json in .* or --pooling"):
        ModelFolder.open(tmp_path / "m")
    check(tmp_path / "m", tmp_path, FolderOptions(pooling="mean"))


def test_hugging_faces_cache_is_followed_through_its_links(tmp_path: Path) -> None:
    made, cache = make_folder(tmp_path / "made"), tmp_path / "models--some--my-model"
    snapshot = cache / "snapshots/0123abc"
    for file in [each for each in made.rglob("*") if each.is_file()]:
        blob, link = cache / "blobs" / file.name.replace("/", "-"), snapshot / file.relative_to(made)
        blob = blob.with_name(f"{len(link.parts)}-{file.parent.name}-{file.name}")
        blob.parent.mkdir(parents=True, exist_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, blob)
        link.symlink_to(blob)
    base = ModelFolder.open(snapshot).load()
    assert (base.name, base.origin) == ("my-model", "some/my-model")


def test_prompts_are_chosen_by_name_or_text(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "m", prompts={"s2p": "find: ", "s2s": "alike: ", "passage": "text: "})
    with pytest.raises(ExportError, match="found s2p, s2s: choose one with --query-prompt"):
        ModelFolder.open(folder)
    chosen = FolderOptions(query_prompt=PromptChoice("s2p"))
    assert [side.prompt for side in check(folder, tmp_path, chosen).sides.values()] == ["find: ", "text: "]
    said = FolderOptions(query_prompt=PromptChoice(text=""), document_prompt=PromptChoice(text="d: "))
    assert [side.prompt for side in ModelFolder.open(folder, said).sides.values()] == ["", "d: "]
    with pytest.raises(ExportError, match=r"expected a prompt of s2p, s2s, passage .* found 'other'"):
        ModelFolder.open(folder, FolderOptions(query_prompt=PromptChoice("other")))


def test_every_chunk_of_a_document_has_its_prompt(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "m", prompts=PROMPTS)
    export(ModelFolder.open(folder).load(), tmp_path / "out", ExportOptions(texts=TEXTS, limits=NO_LIMITS))
    encoder = Bundle.open(tmp_path / "out").load_document_encoder(threads=1)
    long = " ".join(CANONICAL_DOCUMENTS)
    [vectors] = encoder([long], Chunking(max_tokens=40, overlap=0, max_chunks=4))
    assert len(vectors) == 4


class Stripping(TorchReference):
    """Strips a text with its prompt, as transformers' own tokeniser of XLM-RoBERTa does."""

    def _encode(self, plan: TowerPlan, text: str, max_tokens: int) -> torch.Tensor:
        return super()._encode(plan, text.strip(), max_tokens)


def test_a_prompt_alone_is_not_compared(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "m", "xlm-roberta", prompts={"query": "query: ", "document": "passage: "})
    opened, file = ModelFolder.open(folder), tmp_path / "tokenizer.json"
    base = opened.load()
    file.write_text(base.tokenizer)
    assert "" in TEXTS.documents
    least = check_reference(base, file, TEXTS, Stripping(opened))
    assert least is not None
    assert least > 0.99999


def test_a_folder_that_is_read_wrongly_is_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "m")
    opened = ModelFolder.open(folder)
    change(folder / "1_Pooling/config.json", pooling_mode_mean_tokens=False, pooling_mode_cls_token=True)
    reference = TorchReference(ModelFolder.open(folder))
    with pytest.raises(ExportError, match=r"at least 0\.9999 to those of transformers, found"):
        export(opened.load(), tmp_path / "out", ExportOptions(texts=TEXTS, reference=reference))
    assert json.loads((folder / "modules.json").read_text())
    assert not (tmp_path / "out").exists()

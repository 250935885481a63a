"""What sentence-transformers and tokenizers say beside a base's weights: followed, or refused by name."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.bundle.writer import ExportOptions, export
from model_export.errors import ExportError
from model_export.model.base import load_base
from reranker.bundle import Bundle
from tests.bundles.make_tiny import make_tiny
from tests.support.json_files import change

pytestmark = pytest.mark.export

MEAN = {"word_embedding_dimension": 32, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
TEXT = "sentence_transformers.models"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_tiny(tmp_path / "model")


def modules(folder: Path, *kinds: str, transformer: str = "") -> None:
    paths = [transformer, *(f"{place}_{kind}" for place, kind in enumerate(kinds[1:], 1))]
    found = [{"path": path, "type": f"{TEXT}.{kind}"} for path, kind in zip(paths, kinds, strict=True)]
    (folder / "modules.json").write_text(json.dumps(found))


def test_a_folder_of_sentence_transformers_is_taken_with_its_limit(folder: Path, tmp_path: Path) -> None:
    modules(folder, "Transformer", "Pooling", "Normalize")
    change(folder / "1_Pooling/config.json", **MEAN)
    change(folder / "sentence_bert_config.json", max_seq_length=40, do_lower_case=True)
    change(folder / "config_sentence_transformers.json", prompts={"query": "", "document": ""})
    change(folder / "base.json", pooling="")  # the pooling's own file says it
    base = load_base(str(folder))
    assert base.query.pooling.name == "mean"
    export(base, tmp_path / "bundle", ExportOptions(precision="fp32"))
    manifest = Bundle.open(tmp_path / "bundle").manifest
    assert (manifest.query.max_tokens, manifest.document.max_tokens) == (40, 40)


def pooled(folder: Path, **config: object) -> None:
    change(folder / "1_Pooling/config.json", **(MEAN | config))


def prompted(folder: Path, **config: object) -> None:
    change(folder / "config_sentence_transformers.json", **config)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda folder: modules(folder, "Transformer", "Pooling", "Dense", "Normalize"),
            "found Transformer, Pooling, Dense, Normalize",
        ),
        (lambda folder: modules(folder, "Transformer"), "expected the modules Transformer, Pooling"),
        (lambda folder: modules(folder, "Router", "Normalize"), "found Router, Normalize"),
        (lambda folder: modules(folder, "MLMTransformer", "SpladePooling"), "found MLMTransformer, Splade"),
        (lambda folder: modules(folder, "Transformer", "Pooling", transformer="0_T"), "found them in 0_T"),
        (lambda folder: (folder / "modules.json").write_text("{}"), r"expected JSON in .*modules\.json"),
        (lambda folder: (folder / "router_config.json").write_text("{}"), "found a Router"),
        (
            lambda folder: pooled(folder, pooling_mode_cls_token=True, pooling_mode_mean_tokens=False),
            "found 'mean' in base.json and 'cls'",
        ),
        (lambda folder: pooled(folder, pooling_mode_cls_token=True), "found cls_token, mean_tokens"),
        (
            lambda folder: pooled(folder, pooling_mode_mean_tokens=False, pooling_mode_max_tokens=True),
            "expected one pooling mode, cls_token or mean_tokens, found max_tokens",
        ),
        (
            lambda folder: change(folder / "1_Pooling/config.json", pooling_mode="lasttoken"),
            "found lasttoken",
        ),
        (
            lambda folder: change(folder / "1_Pooling/config.json", pooling_mode="cls"),
            "'mean' in base.json and 'cls'",
        ),
        (
            lambda folder: prompted(folder, prompts={"query": "query: "}),
            r"found '' and the prompts \{'query'",
        ),
        (
            lambda folder: prompted(folder, prompts={"query": "", "passage": "passage: "}),
            "expected no prompt for documents, found 'passage: '",
        ),
        (
            lambda folder: prompted(folder, prompts={"sts": "same: "}, default_prompt_name="sts"),
            "expected no prompt for documents, found 'same: '",
        ),
        (lambda folder: prompted(folder, prompts={"s2p_query": "find: "}), "found '' and the prompts"),
        (lambda folder: prompted(folder, prompts=["query: "]), "expected prompts as names and texts"),
        (lambda folder: prompted(folder, similarity_fn_name="dot"), "found 'dot'"),
        (
            lambda folder: change(folder / "sentence_bert_config.json", max_seq_length="512"),
            "expected max_seq_length of at least 3 tokens, found '512'",
        ),
        (lambda folder: change(folder / "base.json", pooling="last"), "cls or mean, found 'last'"),
        (lambda folder: change(folder / "base.json", pooling=""), "cls or mean, found ''"),
    ],
)
def test_what_a_bundle_cannot_follow_is_refused(
    folder: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(folder)
    (folder / "model.safetensors").unlink()  # nothing of this waits for the weights
    with pytest.raises(ExportError, match=message):
        load_base(str(folder))


def test_prompts_that_base_json_says_are_taken(folder: Path) -> None:
    change(folder / "base.json", query_prefix="find: ")
    prompted(folder, prompts={"query": "find: ", "document": ""}, similarity_fn_name="cosine")
    assert load_base(str(folder)).query_prefix == "find: "
    prompted(folder, prompts={"s2p_query": "find: ", "s2s_query": "alike: "})
    assert load_base(str(folder)).query_prefix == "find: "
    pooled(folder, include_prompt=False)
    with pytest.raises(ExportError, match="found include_prompt false"):
        load_base(str(folder))


def cased(folder: Path) -> None:
    normalizer = json.loads((folder / "tokenizer.json").read_text())["normalizer"]
    change(folder / "tokenizer.json", normalizer=normalizer | {"lowercase": False})


def lowered_by_the_pipeline(folder: Path) -> None:
    cased(folder)
    change(folder / "sentence_bert_config.json", do_lower_case=True)


def lowered_by_the_config(folder: Path) -> None:
    cased(folder)
    change(folder / "tokenizer_config.json", do_lower_case=True)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda folder: change(folder / "config.json", vocab_size=60),
            "ids up to the model's 59",
        ),
        (
            lambda folder: change(folder / "config.json", vocab_size=30_522),
            "is another model's",
        ),
        (lambda folder: change(folder / "tokenizer.json", post_processor=None), "expected a post_processor"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "expected a tokenizer in"),
        (lambda folder: (folder / "tokenizer.json").write_bytes(b"\xff"), "tokenizer.json in .* found"),
        (lowered_by_the_pipeline, "expected a tokenizer that lower-cases"),
        (lowered_by_the_config, "found do_lower_case True and lowercase False"),
        (
            lambda folder: change(folder / "tokenizer_config.json", strip_accents=True),
            "found strip_acc",
        ),
    ],
)
def test_a_tokenizer_that_does_not_fit_is_refused(
    folder: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ExportError, match=message):
        load_base(str(folder))

"""Folders that no bundle can follow, or that nobody should open: refused by name before weights are read."""

import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

import onnx
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from model_export.__main__ import main
from model_export.errors import ExportError
from model_export.folders.architectures import EncoderReader
from model_export.folders.reader import FolderOptions, ModelFolder
from tests.bundles.make_folder import make_folder, make_router, write_graph, write_json, write_transformer
from tests.support.json_files import change

pytestmark = pytest.mark.export

Spoil = Callable[[Path], Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "model", after=["Dense:", "Normalize"])


@pytest.fixture(autouse=True)
def nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused is refused before weights are read."""

    def load(_: EncoderReader) -> None:
        raise AssertionError("weights were read")

    monkeypatch.setattr(EncoderReader, "load", load)


def config(**values: object) -> Spoil:
    return lambda folder: change(folder / "config.json", **values)


def settings(**values: object) -> Spoil:
    return lambda folder: change(folder / "sentence_bert_config.json", **values)


def prompts(**values: object) -> Spoil:
    return lambda folder: change(folder / "config_sentence_transformers.json", **values)


def pooling(**values: object) -> Spoil:
    return lambda folder: change(folder / "1_Pooling/config.json", **values)


def dense(**values: object) -> Spoil:
    return lambda folder: change(folder / "2_Dense/config.json", **values)


def module(place: int, **values: object) -> Spoil:
    def spoil(folder: Path) -> None:
        listed = json.loads((folder / "modules.json").read_text())
        listed[place] |= values
        write_json(folder / "modules.json", listed)

    return spoil


def write(name: str, content: str | bytes) -> Spoil:
    def spoil(folder: Path) -> None:
        data = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(data)

    return spoil


def weights(change_them: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Spoil:
    def spoil(folder: Path) -> None:
        file = folder / "model.safetensors"
        save_file(change_them(load_file(file)), file)

    return spoil


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:53aa\nsize 90868376\n"
WORDS = "embeddings.word_embeddings.weight"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (config(model_type="nomic_bert"), r"expected a model_type of bert, .* found 'nomic_bert' without"),
        (config(model_type="secret"), r"found 'secret' without a graph"),
        (config(model_type=None), "expected model_type, found None"),
        (config(auto_map={"AutoModel": "m.M"}), "auto_map none.*never run"),
        (config(_attn_implementation="some/kernel"), "fetched from elsewhere"),
        (config(quantization_config={"bits": 4}), "before quantization"),
        (config(position_embedding_type="relative_key"), "expected position_embedding_type none or absolute"),
        (config(hidden_act="gelu_new"), "expected hidden_act none or gelu"),
        (config(is_decoder=True), "left to right"),
        (config(architectures=["BertForSequenceClassification"]), "cross-encoder is one"),
        (config(hidden_size=1 << 40), "expected hidden_size from 1 to 16384"),
        (config(num_hidden_layers=True), "expected num_hidden_layers from 1 to 128, found True"),
        (config(num_hidden_layers=3), r"found none of \['encoder\.layer\.2"),
        (config(num_hidden_layers=1), r"found \['encoder\.layer\.1.*would be left out"),
        (config(num_attention_heads=3), "expected hidden_size as a multiple of the heads"),
        (config(intermediate_size=128), r"expected encoder\.layer\.0\..* of the shape \(128, 32\)"),
        (config(layer_norm_eps="small"), "expected layer_norm_eps between 0 and 1"),
        (write("adapter_config.json", "{}"), "merge the adapter"),
        (module(0, type="custom_st.Transformer"), "found 'custom_st.Transformer': code that comes"),
        (module(1, type="os.system"), "expected modules of sentence_transformers"),
        (module(2, type="sentence_transformers.models.LSTM"), "Transformer, Pooling, LSTM, Normalize"),
        (module(0, path="../elsewhere"), "names of files inside"),
        (module(1, path="/etc"), "names of files inside"),
        (write("modules.json", "{}"), r"expected JSON in .*modules\.json"),
        (write("modules.json", '[{"a": ' + "[" * 100_000), r"expected JSON in .*recursion"),
        (write("config.json", " " * 17_000_000), "expected at most 16000000 bytes"),
        (write("router_config.json", "{}"), None),
        (pooling(pooling_mode_cls_token=True), "expected one pooling mode of .* found cls, mean"),
        (pooling(pooling_mode_mean_tokens=False, pooling_mode_max_tokens=True), "found max"),
        (pooling(pooling_mode="mean_sqrt_len_tokens"), "found mean, mean_sqrt_len_tokens"),
        (dense(activation_function="os.system"), "found 'os.system'"),
        (dense(activation_function="torch.nn.modules.activation.SELU"), "expected an activation_function of"),
        (dense(module_input_name="token_embeddings"), "expected module_input_name sentence_embedding"),
        (dense(use_residual=True), "expected use_residual false"),
        (dense(in_features=16), r"a layer from 32 values with .*\(24, 16\).*found .*\(24, 32\)"),
        (dense(bias=False), "expected in .*2_Dense a layer"),
        (dense(out_features="24"), "in_features and out_features up to 65535"),
        (settings(max_seq_length="512"), "max_seq_length of at least 3 tokens, found '512'"),
        (settings(query_expansion={"length": 32}), "found query_expansion"),
        (settings(model_args={"attn": 1}), "found model_args"),
        (lambda f: change(f / "tokenizer_config.json", padding_side="left"), "expected padding_side right"),
        (lambda f: change(f / "tokenizer_config.json", auto_map={"a": "b"}), "expected no auto_map"),
        (lambda f: (f / "notes.txt").symlink_to("/etc/hostname"), "found the link notes.txt to"),
        (lambda f: (f / "loop").symlink_to("loop"), "found the link loop, which leads to itself"),
        (prompts(similarity_fn_name="manhattan"), "found 'manhattan'"),
        (prompts(prompts=["query: "]), "expected prompts as names and texts"),
        (prompts(default_prompt_name="other"), "expected default_prompt_name of none, found 'other'"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json in .* make it with transf"),
        (write("tokenizer.json", "{}"), "expected a tokenizer in"),
        (
            write("tokenizer.json", POINTER),
            r"tokenizer\.json in .*, found a pointer of Git LFS: run `git lfs pull`",
        ),
        (write("model.safetensors", POINTER), r"model\.safetensors in .*, found a pointer of Git LFS"),
        (weights(lambda w: w | {WORDS: w[WORDS].to(torch.int8)}), "found I8"),
        (weights(lambda w: w | {"extra.weight": w[WORDS].clone()}), r"found \['extra\.weight'\], which"),
        (write("model.safetensors", b"\xff" * 64), "expected weights in"),
        (lambda folder: (folder / "1_Pooling/config.json").unlink(), "1_Pooling/config.json .* found none"),
    ],
)
def test_what_a_bundle_cannot_follow_is_refused(folder: Path, spoil: Spoil, message: str | None) -> None:
    spoil(folder)
    if message is None:
        ModelFolder.open(folder)
        return
    with pytest.raises(ExportError, match=message):
        ModelFolder.open(folder)


class _Harmful:
    """Writes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (self.file, "it ran"))


@pytest.mark.parametrize("place", ["", "2_Dense/"])
def test_a_pickle_is_not_opened(folder: Path, tmp_path: Path, place: str) -> None:
    (folder / f"{place}model.safetensors").unlink()
    (folder / f"{place}pytorch_model.bin").write_bytes(pickle.dumps(_Harmful(tmp_path / "ran")))
    with pytest.raises(ExportError, match=r"found pytorch_model\.bin: pickles can run code"):
        ModelFolder.open(folder)
    assert not (tmp_path / "ran").exists()


def list_names(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())


def test_no_link_leads_out_of_the_folder(tmp_path: Path) -> None:
    for name in list_names(make_folder(tmp_path / "model", after=["Dense:", "Normalize"])):
        folder = tmp_path / name.replace("/", "-")
        made = make_folder(folder / "model", after=["Dense:", "Normalize"])
        (made / name).rename(folder / "elsewhere")
        (made / name).symlink_to(folder / "elsewhere")
        with pytest.raises(ExportError, match=f"found the link {re.escape(name)} to"):
            ModelFolder.open(made)


def test_an_index_names_no_file_elsewhere(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent / "other.safetensors")
    index = folder / "model.safetensors.index.json"
    change(index, metadata={}, weight_map={WORDS: "../other.safetensors"})
    with pytest.raises(ExportError, match="expected names of files inside"):
        ModelFolder.open(folder)
    change(index, weight_map={WORDS: "pytorch_model.bin"})
    with pytest.raises(ExportError, match="expected names of safetensors files"):
        ModelFolder.open(folder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"structure": {"query": []}}, "expected the modules Transformer, Pooling"),
        ({"structure": {"text": []}}, "expected a route query, found text"),
        ({"parameters": {"route_mappings": {"a": "b"}}}, "found route_mappings"),
        ({"types": {}}, "expected modules of sentence_transformers, found None"),
    ],
)
def test_a_router_that_a_bundle_cannot_follow_is_refused(
    tmp_path: Path, values: dict[str, object], message: str
) -> None:
    folder = make_router(tmp_path / "model")
    change(folder / "router_config.json", **values)
    with pytest.raises(ExportError, match=message):
        ModelFolder.open(folder)


def test_two_tokenizers_are_refused(tmp_path: Path) -> None:
    folder = make_router(tmp_path / "model")
    change(folder / "query_0_Transformer/tokenizer.json", normalizer=None)
    with pytest.raises(ExportError, match="expected one tokenizer for queries and documents"):
        ModelFolder.open(folder)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("roberta", {"pad_token_id": 97}, "expected a pad_token_id that leaves positions of 98, found 97"),
        ("xlm-roberta", {"pad_token_id": None}, "expected a pad_token_id"),
        ("mpnet", {"relative_attention_num_buckets": 16}, "expected relative_attention_num_buckets 32"),
        ("distilbert", {"activation": "relu"}, "expected activation none or gelu"),
    ],
)
def test_an_architectures_own_settings_are_checked(
    tmp_path: Path, kind: str, values: dict[str, object], message: str
) -> None:
    write_transformer(tmp_path / "model", kind)
    change(tmp_path / "model/config.json", **values)
    with pytest.raises(ExportError, match=message):
        ModelFolder.open(tmp_path / "model", FolderOptions(pooling="mean"))


def test_a_graph_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    folder, options = tmp_path / "model", FolderOptions(pooling="mean")
    write_transformer(folder, "modernbert")
    with pytest.raises(ExportError, match=r"found 'modernbert' without a graph"):
        ModelFolder.open(folder, options)
    write_graph(folder)
    ModelFolder.open(folder, options)
    file = folder / "onnx/model.onnx"
    model = onnx.load(file)
    for change_it, message in GRAPH_CHANGES:
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        change_it(changed)
        file.write_bytes(changed.SerializeToString())
        with pytest.raises(ExportError, match=message):
            ModelFolder.open(folder, options)
    file.write_bytes(b"no graph")
    with pytest.raises(ExportError, match="expected an ONNX graph in"):
        ModelFolder.open(folder, options)


def rename_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "logits"


def rename_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "pixels"


def age(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 11


def lead_out(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../secret")


GRAPH_CHANGES = [
    (rename_output, "expected a float32 output last_hidden_state or token_embeddings, found logits"),
    (rename_input, "expected int64 inputs input_ids and attention_mask"),
    (age, "expected a graph of opset 13 to 21, found 11"),
    (lead_out, "expected names of files inside"),
]


def test_options_that_do_not_fit_are_refused(folder: Path) -> None:
    with pytest.raises(ExportError, match=r"expected the pooling mean, .* found --pooling cls"):
        ModelFolder.open(folder, FolderOptions(pooling="cls"))
    with pytest.raises(ExportError, match="expected --dim from 1 to 23, found 24"):
        ModelFolder.open(folder, FolderOptions(dim=24))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--name", "../mine", "expected --name of letters, digits, .* found '../mine'"),
        ("--language", "english", "expected a language tag .* found 'english'"),
        ("--dim", "0", "expected --dim from 1 to 23, found 0"),
        ("--query-prompt", "ask", "found 'ask'"),
        ("--out", "model", "expected no folder .*model, found one"),
    ],
)
def test_options_are_checked_before_the_work(folder: Path, option: str, value: str, message: str) -> None:
    given = {"--out": "out", option: value}
    given["--out"] = str(folder.parent / given["--out"])
    arguments = [each for pair in given.items() for each in pair]
    done = CliRunner().invoke(main, ["bundle", str(folder), *arguments])
    assert done.exit_code == 1
    assert re.match(f"Error: .*{message}", done.output)


def test_a_folder_beside_the_models_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="found none at org/model: download the model first"):
        ModelFolder.open(Path("org/model"))
    (tmp_path / "models--org--model/blobs").mkdir(parents=True)
    folder.rename(tmp_path / "models--org--model/snapshots")
    with pytest.raises(ExportError, match=r"found a cache .* name a folder in .*/snapshots"):
        ModelFolder.open(tmp_path / "models--org--model")


def test_the_command_says_what_is_wrong_in_one_line(folder: Path, tmp_path: Path) -> None:
    config(auto_map={"AutoModel": "m.M"})(folder)
    done = CliRunner().invoke(main, ["bundle", str(folder), "--out", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert "never run" in done.output

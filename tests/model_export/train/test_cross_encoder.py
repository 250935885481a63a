"""Cross-encoders from folders: ONNX graphs and transformers' weights, and what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

pytest.importorskip("torch", reason="needs torch: the export extra")

import torch
from transformers import BertConfig, BertForSequenceClassification

from model_export.errors import ExportError, TrainingError
from model_export.train.cross_encoder import open_cross_encoder
from model_export.train.onnx_cross_encoder import OnnxCrossEncoder
from model_export.train.teacher import CrossEncoder
from tests.bundles.make_tiny import write_tokenizer
from tests.support.json_files import change
from tests.support.small_cross_encoder import INPUTS, PAIRS, write_small_cross_encoder

pytestmark = pytest.mark.export


def write_classifier(folder: Path, *, labels: int = 1, positions: int = 512) -> Path:
    """Write a BERT classifier as transformers does, with random weights."""
    folder.mkdir(parents=True)
    torch.manual_seed(5)
    shape = BertConfig(
        vocab_size=write_tokenizer(folder),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=64,
        initializer_range=0.3,
        max_position_embeddings=positions,
    )
    shape.num_labels = labels
    BertForSequenceClassification(shape).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("file", ["model.onnx", "onnx/model.onnx"])
def test_a_graph_scores_pairs_the_same_in_any_batch_and_order(tmp_path: Path, file: str) -> None:
    teacher = open_cross_encoder(write_small_cross_encoder(tmp_path / "m", file=file))
    assert isinstance(teacher, OnnxCrossEncoder)
    together = teacher.score_pairs(PAIRS)
    assert np.ptp(together) > 0.1
    for pair, score in zip(PAIRS, together, strict=True):
        assert teacher.score_pairs([pair])[0] == pytest.approx(score, abs=1e-5)
    assert teacher.score_pairs(PAIRS[::-1])[::-1] == pytest.approx(together, abs=1e-5)
    assert teacher.score_pairs([("\ud800", "x"), ("", "")]).shape == (2,)
    assert len(teacher.score_pairs([])) == 0


def test_threads_change_no_score_and_integers_are_near(tmp_path: Path) -> None:
    folder = write_small_cross_encoder(tmp_path / "m")
    pairs = [(query, " ".join([document] * n)) for n in range(1, 20) for query, document in PAIRS]
    exact = OnnxCrossEncoder(folder)
    scores = exact.score_pairs(pairs)
    several = OnnxCrossEncoder(folder, threads=3)
    assert several.score_pairs(pairs).tolist() == scores.tolist()
    assert several.digest == exact.digest, "threads decide no score"
    int8 = OnnxCrossEncoder(folder, int8=True)
    found = int8.score_pairs(pairs)
    assert np.corrcoef(found, scores)[0, 1] > 0.999
    assert found.tolist() != scores.tolist()
    alone = [float(int8.score_pairs([pair])[0]) for pair in pairs[:5]]
    assert alone == pytest.approx(found[:5].tolist(), abs=1e-5)


def test_a_dynamically_quantised_graph_scores_in_float32(tmp_path: Path) -> None:
    folder = write_small_cross_encoder(tmp_path / "m")
    exact = OnnxCrossEncoder(folder).score_pairs(PAIRS)
    quantize_dynamic(folder / "model.onnx", folder / "int8.onnx")
    (folder / "int8.onnx").replace(folder / "model.onnx")
    for int8 in (False, True):
        teacher = OnnxCrossEncoder(folder, int8=int8)
        together = teacher.score_pairs(PAIRS)
        assert together == pytest.approx(exact, abs=0.6)
        assert teacher.score_pairs(PAIRS[:1])[0] == pytest.approx(together[0], abs=1e-5)


def test_the_digest_names_files_limit_and_precision(tmp_path: Path) -> None:
    folder = write_small_cross_encoder(tmp_path / "m")
    found = [
        OnnxCrossEncoder(folder).digest,
        OnnxCrossEncoder(folder, max_tokens=100).digest,
        OnnxCrossEncoder(folder, int8=True).digest,
    ]
    assert OnnxCrossEncoder(Path(shutil.copytree(folder, tmp_path / "copy"))).digest == found[0]
    write_small_cross_encoder(folder, scale=2.0)
    found.append(OnnxCrossEncoder(folder).digest)
    model = onnx.load(folder / "model.onnx")
    onnx.save(model, folder / "model.onnx", save_as_external_data=True, location="w", size_threshold=64)
    found.append(OnnxCrossEncoder(folder).digest)
    weights = bytearray((folder / "w").read_bytes())
    weights[0] ^= 1
    (folder / "w").write_bytes(weights)
    found.append(OnnxCrossEncoder(folder).digest)
    assert len(set(found)) == len(found)


def test_a_graph_may_do_without_segments_and_take_small_integers(tmp_path: Path) -> None:
    folder = write_small_cross_encoder(tmp_path / "m", inputs=INPUTS[:2])
    expected = OnnxCrossEncoder(folder).score_pairs(PAIRS)
    model = onnx.load(folder / "model.onnx")
    for value in model.graph.input:
        value.type.tensor_type.elem_type = onnx.TensorProto.INT32
    onnx.save(model, folder / "model.onnx")
    assert OnnxCrossEncoder(folder).score_pairs(PAIRS) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("inputs", "named"), [((*INPUTS, "position_ids"), "position_ids"), (INPUTS[:1], "input_ids")]
)
def test_other_inputs_are_refused(tmp_path: Path, inputs: tuple[str, ...], named: str) -> None:
    folder = write_small_cross_encoder(tmp_path / "m")
    model = onnx.load(folder / "model.onnx")
    if "position_ids" in inputs:
        model.graph.input.append(
            helper.make_tensor_value_info("position_ids", onnx.TensorProto.INT64, ["batch", "tokens"])
        )
    else:
        for node in model.graph.node:
            node.input[:] = ["input_ids" if each in INPUTS else each for each in node.input]
        del model.graph.input[1:]
    onnx.save(model, folder / "model.onnx")
    with pytest.raises(TrainingError, match=rf"expected the inputs input_ids and attention_mask.*{named}"):
        OnnxCrossEncoder(folder)


def test_two_outputs_need_names_that_say_which_is_relevance(tmp_path: Path) -> None:
    folder = write_small_cross_encoder(tmp_path / "m", outputs=2)
    config = folder / "config.json"
    with pytest.raises(TrainingError, match="write into it which of them is relevance"):
        OnnxCrossEncoder(folder)
    config.write_text('{"model_type": "bert"}')
    default = OnnxCrossEncoder(folder).score_pairs(PAIRS)
    for labels, sign in (
        ({"0": "LABEL_0", "1": "LABEL_1"}, 1),
        ({"0": "Not relevant", "1": "Relevant"}, 1),
        ({"0": "relevant", "1": "irrelevant"}, -1),
    ):
        config.write_text(json.dumps({"id2label": labels}))
        assert OnnxCrossEncoder(folder).score_pairs(PAIRS) == pytest.approx(sign * default)
    for wrong in ({"0": "entailment", "1": "not_entailment"}, {"0": "relevant", "1": "relevant"}, {}):
        config.write_text(json.dumps({"id2label": wrong}))
        with pytest.raises(TrainingError, match="write into it which of them is relevance"):
            OnnxCrossEncoder(folder)
    for text, found in (
        ('{"id2label": ["a", "b"]}', "expected id2label with a name for each"),
        ("{", "expected JSON"),
    ):
        config.write_text(text)
        with pytest.raises(ExportError, match=found):
            OnnxCrossEncoder(folder)


def test_three_outputs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="expected a classifier of one output or two, found 3 outputs"):
        OnnxCrossEncoder(write_small_cross_encoder(tmp_path / "onnx", outputs=3))
    with pytest.raises(TrainingError, match="expected a classifier of one output or two, found 3 outputs"):
        CrossEncoder(write_classifier(tmp_path / "torch", labels=3))


def test_an_encoder_is_no_cross_encoder(tmp_path: Path) -> None:
    folder = write_small_cross_encoder(tmp_path / "m")
    model = onnx.load(folder / "model.onnx")
    [value] = model.graph.output
    value.CopyFrom(helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ["batch", "tokens", 32]))
    onnx.save(model, folder / "model.onnx")
    with pytest.raises(TrainingError, match=r"expected one float output logits.*an encoder gives vectors"):
        OnnxCrossEncoder(folder)


def test_a_wrong_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = write_small_cross_encoder(tmp_path / "m", rows=60)
    with pytest.raises(ExportError, match=r"expected token ids up to the model's 59.*another model's"):
        OnnxCrossEncoder(folder)
    write_small_cross_encoder(folder, rows=4000)
    with pytest.raises(ExportError, match=r"expected token ids up to the model's 3999.*another model's"):
        OnnxCrossEncoder(folder)
    write_small_cross_encoder(folder)
    change(folder / "tokenizer.json", post_processor=None)
    with pytest.raises(ExportError, match="expected a post_processor"):
        OnnxCrossEncoder(folder)
    write_small_cross_encoder(folder)
    single = {"SpecialToken": {"id": "[CLS]", "type_id": 0}}
    texts = [{"Sequence": {"id": each, "type_id": 0}} for each in "AB"]
    change(
        folder / "tokenizer.json",
        post_processor={
            "type": "TemplateProcessing",
            "single": [single, texts[0]],
            "pair": [single, texts[0], single, texts[1], single],
            "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}},
        },
    )
    with pytest.raises(TrainingError, match=r"tells a pair's second text by its segment.*another model's"):
        OnnxCrossEncoder(folder)
    (folder / "tokenizer.json").write_text('{"version": "9"}')
    with pytest.raises(TrainingError, match=r"expected a tokenizer in .*tokenizer\.json"):
        OnnxCrossEncoder(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(TrainingError, match=r"expected a tokenizer in .*tokenizer\.json.*No such file"):
        OnnxCrossEncoder(folder)


def test_a_tokenizer_that_no_table_betrays_is_seen_by_the_last_token(tmp_path: Path) -> None:
    folder = write_small_cross_encoder(tmp_path / "m", rows=90)
    model = onnx.load(folder / "model.onnx")
    for place, node in enumerate(model.graph.node):
        if list(node.input) == ["words", "input_ids"]:
            node.input[1] = "same_ids"
            model.graph.node.insert(place, helper.make_node("Identity", ["input_ids"], ["same_ids"]))
            break
    onnx.save(model, folder / "model.onnx")
    with pytest.raises(TrainingError, match="up to number 96, the tokenizer's last: lower max_tokens"):
        OnnxCrossEncoder(folder)


def test_more_tokens_than_positions_are_refused(tmp_path: Path) -> None:
    folder = write_small_cross_encoder(tmp_path / "m", positions=64)
    with pytest.raises(TrainingError, match=r"to read 256 tokens.*lower max_tokens"):
        OnnxCrossEncoder(folder)
    assert OnnxCrossEncoder(folder, max_tokens=64).score_pairs([("a", "b " * 500)]).shape == (1,)
    folder = write_classifier(tmp_path / "torch", positions=64)
    with pytest.raises(TrainingError, match=r"expected at most 64 tokens.*found 256"):
        CrossEncoder(folder)


def test_scores_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    folder = write_small_cross_encoder(tmp_path / "m")
    model = onnx.load(folder / "model.onnx")
    [tensor] = [each for each in model.graph.initializer if each.name == "b_class"]
    tensor.CopyFrom(numpy_helper.from_array(np.full(1, np.nan, np.float32), "b_class"))
    onnx.save(model, folder / "model.onnx")
    with pytest.raises(TrainingError, match="expected finite scores"):
        OnnxCrossEncoder(folder)


def test_a_graph_for_one_pair_at_a_time_is_refused(tmp_path: Path) -> None:
    folder = write_small_cross_encoder(tmp_path / "m")
    model = onnx.load(folder / "model.onnx")
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, folder / "model.onnx")
    with pytest.raises(TrainingError, match=r"Got: 2 Expected: 1"):
        OnnxCrossEncoder(folder)


@pytest.mark.parametrize("content", [b"", b"not a graph" * 50])
def test_a_damaged_graph_is_refused(tmp_path: Path, content: bytes) -> None:
    folder = write_small_cross_encoder(tmp_path / "m")
    (folder / "model.onnx").write_bytes(content)
    with pytest.raises(TrainingError, match=r"expected .* found"):
        OnnxCrossEncoder(folder)


def test_a_graph_that_is_quantised_otherwise_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_small_cross_encoder(tmp_path / "m")
    model = onnx.load(folder / "model.onnx")
    model.graph.initializer.append(numpy_helper.from_array(np.array(0.1, np.float32), "s"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(0, np.uint8), "zp"))
    model.graph.node.insert(
        len(model.graph.node) - 1, helper.make_node("QuantizeLinear", ["mean", "s", "zp"], ["q"])
    )
    model.graph.node.insert(
        len(model.graph.node) - 1, helper.make_node("DequantizeLinear", ["q", "s", "zp"], ["mean_2"])
    )
    model.graph.node[-1].input[0] = "mean_2"
    onnx.save(model, folder / "model.onnx")
    with pytest.raises(TrainingError, match=r"model\.onnx: expected a graph in float.*QuantizeLinear \(q\)"):
        OnnxCrossEncoder(folder)


def test_weights_of_transformers_are_read_if_there_is_no_graph(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path / "m")
    by_torch, by_graph = CrossEncoder(folder), open_cross_encoder(folder)
    assert isinstance(by_graph, OnnxCrossEncoder)
    scores = by_torch.score_pairs(PAIRS)
    assert np.ptp(scores) > 0.01
    assert by_torch.score_pairs(PAIRS[:1])[0] == pytest.approx(scores[0], abs=1e-5)
    assert by_graph.score_pairs(PAIRS) == pytest.approx(scores, abs=1e-4)
    assert by_graph.digest == by_torch.digest, "so that scores of one are the other's"
    int8 = open_cross_encoder(folder, int8=True)
    assert int8.digest != by_torch.digest
    found = int8.score_pairs(PAIRS)
    assert found == pytest.approx(scores, abs=0.1 * float(np.ptp(scores)))
    assert found.tolist() != by_graph.score_pairs(PAIRS).tolist()
    write_small_cross_encoder(folder)
    assert isinstance(open_cross_encoder(folder), OnnxCrossEncoder)
    with pytest.raises(TrainingError, match=r"expected a cross-encoder in .*model\.onnx.*found none of them"):
        open_cross_encoder(tmp_path)


def test_weights_that_the_graph_is_not_written_for_stay_with_transformers(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path / "m")
    change(folder / "config.json", hidden_act="relu")
    assert isinstance(open_cross_encoder(folder), CrossEncoder)
    with pytest.raises(TrainingError, match=r"for int8, or a BERT with the exact gelu, found a Bert"):
        open_cross_encoder(folder, int8=True)


def test_two_classes_of_transformers_are_read_by_their_names(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path / "m", labels=2)
    scores = CrossEncoder(folder).score_pairs(PAIRS)
    change(folder / "config.json", id2label={"0": "relevant", "1": "irrelevant"})
    assert CrossEncoder(folder).score_pairs(PAIRS) == pytest.approx(-scores, abs=1e-6)
    assert open_cross_encoder(folder).score_pairs(PAIRS) == pytest.approx(-scores, abs=1e-4)
    change(folder / "config.json", id2label={"0": "yes", "1": "no"})
    with pytest.raises(TrainingError, match="which of them is relevance"):
        CrossEncoder(folder)


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path / "m")
    model: Any = BertForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        model.classifier.weight[0, 0] = float("nan")
    model.save_pretrained(folder)
    with pytest.raises(ExportError, match=r"expected finite weights.*classifier\.weight"):
        CrossEncoder(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(TrainingError, match=r"expected a tokenizer|expected finite"):
        CrossEncoder(write_without_tokenizer(tmp_path / "other"))


def write_without_tokenizer(folder: Path) -> Path:
    (write_classifier(folder) / "tokenizer.json").unlink()
    return folder

"""Open a cross-encoder from a folder, whatever its weights are in."""

from pathlib import Path
from typing import Any

from transformers import BertForSequenceClassification

from model_export.errors import TrainingError
from model_export.train.device import choose_device
from model_export.train.onnx_cross_encoder import GRAPH_FILES, OnnxCrossEncoder, find_graph
from model_export.train.teacher import CrossEncoder, Teacher, load_classifier

_WEIGHTS = ("*.safetensors", "*.bin")


def open_cross_encoder(
    folder: Path, *, max_tokens: int = 256, device: str = "cpu", threads: int = 1, int8: bool = False
) -> Teacher:
    """Open a folder's ONNX graph, or else the weights that transformers reads.

    A BERT's weights become a graph on a CPU. A GPU takes the weights if there are both. `threads` and `int8`
    are those of `OnnxCrossEncoder`.

    Raises:
        TrainingError: the folder holds neither; int8 is asked for of weights that are not BERT's; or the
            model cannot be a teacher.
        ExportError: its weights are quantised in an unknown way, or its tokeniser is another model's.
    """
    graph = find_graph(folder)
    has_weights = any(file for pattern in _WEIGHTS for file in folder.glob(pattern))
    if graph is None and not has_weights:
        raise TrainingError(
            f"expected a cross-encoder in {folder}: {' or '.join(GRAPH_FILES)}, or config.json and"
            " model.safetensors, found none of them"
        )
    on_gpu = choose_device(device).type == "cuda"
    if graph is not None and not (has_weights and on_gpu and not int8):
        return OnnxCrossEncoder(folder, max_tokens=max_tokens, threads=threads, int8=int8)
    if int8 or not on_gpu:
        model = load_classifier(folder)
        if _is_plain_bert(model):
            return OnnxCrossEncoder(folder, max_tokens=max_tokens, threads=threads, int8=int8, weights=model)
    if int8:
        raise TrainingError(
            f"expected {' or '.join(GRAPH_FILES)} in {folder} for int8, or a BERT with the exact gelu, found"
            f" a {type(model).__name__}"
        )
    return CrossEncoder(folder, max_tokens=max_tokens, device=device)


def _is_plain_bert(model: Any) -> bool:  # noqa: ANN401 - any class of transformers
    """Return whether the graph that is written from BERT's weights computes this model."""
    config = model.config
    return (
        isinstance(model, BertForSequenceClassification)
        and config.hidden_act == "gelu"
        and getattr(config, "position_embedding_type", "absolute") in (None, "absolute")
        and not getattr(config, "is_decoder", False)
    )

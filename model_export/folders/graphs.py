"""Architectures without a graph of the exporter's: the graph that comes with the model is taken."""

from collections.abc import Mapping
from typing import Any

import onnx
import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from transformers import CONFIG_MAPPING, AutoModel

from model_export.errors import ExportError
from model_export.folders.architectures import FAMILIES
from model_export.folders.config import read_size
from model_export.folders.files import ModelFiles, join
from model_export.folders.weights import WeightFiles
from model_export.model.checkpoint import check_finite
from model_export.onnx.foreign import check_graph

GRAPHS = ("onnx/model.onnx", "model.onnx")
"""Where a graph is looked for, in the transformer's folder."""


class GraphReader:
    """Reads a transformer whose graph comes with it; its weights are read too, to compare.

    Raises:
        ExportError: transformers does not know its kind, or the graph or the weights are missing or unfit.
    """

    def __init__(self, files: ModelFiles, folder: str, where: str, config: Mapping[str, Any]) -> None:
        self.kind: str = config["model_type"]
        self._path = files.root / folder
        self.vocab_size = read_size(where, config, "vocab_size", 4_000_000)
        self.hidden_size = read_size(where, config, "hidden_size", 16_384)
        self.max_tokens = read_size(where, config, "max_position_embeddings", 65_535)
        WeightFiles(files, folder)  # without code that can be run, and of types that are read
        self.graph = _load_graph(files, folder, where, self.kind)

    def load(self) -> Any:  # noqa: ANN401 - any of transformers' encoders
        """Return the transformer in torch, in float32.

        Raises:
            ExportError: transformers refuses the folder, or a weight is not finite.
        """
        try:
            model = AutoModel.from_pretrained(
                self._path,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
            )
        except (OSError, ValueError, RuntimeError, TypeError, ImportError) as error:
            raise ExportError(f"expected a model in {self._path}, found: {error}") from error
        check_finite(self._path, model.state_dict())
        return model.train(mode=False)


def _load_graph(files: ModelFiles, folder: str, where: str, kind: str) -> onnx.ModelProto:
    names = [name for name in GRAPHS if files.find(join(folder, name)) is not None]
    if kind not in CONFIG_MAPPING or not names:
        raise ExportError(
            f"{where}: expected a model_type of {', '.join(FAMILIES)}, or another that transformers knows"
            f" with {GRAPHS[0]} in the folder, found {kind!r}{'' if names else ' without a graph'}"
        )
    file = files.get(join(folder, names[0]), "it is the model's graph")
    try:
        model = onnx.load(file, load_external_data=False)
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    parent = join(folder, names[0]).rpartition("/")[0]
                    files.get(join(parent, entry.value), f"{names[0]} names it")
        check_graph(model, str(file))
        return onnx.load(file)
    except (DecodeError, OSError, ValueError, onnx.checker.ValidationError) as error:
        raise ExportError(f"expected an ONNX graph in {file}, found: {error}") from error

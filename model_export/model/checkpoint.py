"""A checkpoint's tensors: each is read as float32, or refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError, safe_open
from transformers import BertConfig, BertModel

from model_export.errors import ExportError
from model_export.model.architecture import CONFIG_FILE, check_architecture

BERT = "a BERT encoder"

_FLOATS = ("F64", "F32", "F16", "BF16")
"""Types, as safetensors names them, that are read as float32."""

_HEADS = ("pooler.", "cls.", "embeddings.position_ids", "embeddings.token_type_ids")
"""Tensors of a checkpoint that an encoder does not use."""


def load_bert(folder: Path) -> BertModel:
    """Load config and weights of a BERT encoder, in float32.

    Raises:
        ExportError: the folder holds another model, tensors of another type, or not exactly an encoder's.
    """
    check_architecture(folder)
    for file in sorted(folder.glob("*.safetensors")):
        check_types(file)
    try:
        config = BertConfig.from_json_file(folder / CONFIG_FILE)
        loaded: object = BertModel.from_pretrained(
            folder,
            config=config,
            add_pooling_layer=False,
            local_files_only=True,
            output_loading_info=True,
            dtype=torch.float32,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ExportError(
            f"expected config.json and weights of {BERT} in {folder}, found: {error}"
        ) from error
    model, report = cast(tuple[BertModel, dict[str, set[str]]], loaded)
    _check_names(folder, report)
    check_finite(folder, model.state_dict())
    frozen: BertModel = model.train(mode=False)
    return frozen


def check_types(file: Path) -> None:
    """Check that a safetensors file holds only floating-point numbers, apart from ids of positions.

    Raises:
        ExportError: it cannot be read, or a tensor is of another type, as a quantized one is.
    """
    try:
        with safe_open(file, framework="pt") as tensors:
            types = {name: tensors.get_slice(name).get_dtype() for name in tensors.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ExportError(f"expected weights in {file}, found: {error}") from error
    wrong = {name: kind for name, kind in types.items() if kind not in _FLOATS and not name.endswith("_ids")}
    if wrong:
        name, kind = next(iter(wrong.items()))
        raise ExportError(
            f"{file}: expected weights of the types {', '.join(_FLOATS)}, found {kind} ({name}): give the"
            " model as it was before quantization"
        )


def check_finite(where: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Check that every number is finite.

    Raises:
        ExportError: a tensor holds NaN or an infinity.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise ExportError(
                f"expected finite weights in {where}, found NaN or infinity in {name}: the file is damaged,"
                " or was converted to a type that is too small for it"
            )


def _check_names(folder: Path, report: Mapping[str, set[str]]) -> None:
    """Refuse missing weights, which transformers would invent, and weights that nothing would read."""
    if report["missing_keys"]:
        raise ExportError(
            f"expected weights of {BERT} in {folder}, found none of {sorted(report['missing_keys'])}"
        )
    unread = [key for key in report["unexpected_keys"] if not key.removeprefix("bert.").startswith(_HEADS)]
    if unread:
        raise ExportError(
            f"expected weights of {BERT} alone in {folder}, found {sorted(unread)[:4]}, which would be left"
            " out: the model is another one"
        )

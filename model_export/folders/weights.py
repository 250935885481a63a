"""A folder's weights: safetensors in one file or several, checked by their headers before they are read."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from model_export.errors import ExportError
from model_export.folders.files import ModelFiles, join
from model_export.model.checkpoint import check_finite, check_types

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = f"{WEIGHTS_FILE}.index.json"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
_OTHERS = ("tf_model.h5", "flax_model.msgpack", "pytorch_model.bin.index.json")

_AS_SAFETENSORS = (
    "pickles can run code when they are read, so they are not. Convert the model once, where you trust it:"
    " transformers' from_pretrained and save_pretrained write safetensors"
)

Shapes = Mapping[str, tuple[int, ...]]


class WeightFiles:
    """The tensors of a folder of a model's, by name; nothing but headers is read until `load`.

    Raises:
        ExportError: there is no safetensors file, one is damaged, or a tensor is not of floats.
    """

    def __init__(self, files: ModelFiles, folder: str = "") -> None:
        self._where = files.root / folder
        self._files = list(_find_files(files, folder))
        for file in self._files:
            check_types(file)
        self.shapes: Shapes = dict(self._read_shapes())

    def load(self, names: Mapping[str, str]) -> dict[str, torch.Tensor]:
        """Return tensors in float32 by their new names; `names` is new name -> name in the files.

        Raises:
            ExportError: a file cannot be read, or a tensor holds NaN or an infinity.
        """
        loaded: dict[str, torch.Tensor] = {}
        wanted: dict[str, list[str]] = {}
        for new, old in names.items():
            wanted.setdefault(old, []).append(new)
        for file in self._files:
            with self._open(file) as tensors:
                for old in wanted.keys() & set(tensors.keys()):
                    tensor = tensors.get_tensor(old).float()
                    loaded |= dict.fromkeys(wanted[old], tensor)
        check_finite(self._where, loaded)
        return loaded

    def _read_shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        for file in self._files:
            with self._open(file) as tensors:
                for name in tensors.keys():  # noqa: SIM118 - the file is no mapping
                    yield name, tuple(tensors.get_slice(name).get_shape())

    def _open(self, file: Path) -> Any:  # noqa: ANN401 - safetensors has no types
        try:
            return safe_open(file, framework="pt")
        except (OSError, SafetensorError) as error:
            raise ExportError(f"expected weights in {file}, found: {error}") from error


def _find_files(files: ModelFiles, folder: str) -> Iterator[Path]:
    """Yield the safetensors files of a folder.

    Raises:
        ExportError: there are none, or the index names a file elsewhere.
    """
    if files.find(join(folder, WEIGHTS_FILE)) is not None:
        yield files.get(join(folder, WEIGHTS_FILE), "it holds the weights")
        return
    index = files.read_json_if_any(join(folder, INDEX_FILE), dict[str, Any])
    if index is None:
        raise _describe_missing(files, folder)
    places = index.get("weight_map")
    if not isinstance(places, dict) or not places or not isinstance(index.get("metadata"), dict):
        raise ExportError(
            f"expected metadata and a weight_map in {files.root / join(folder, INDEX_FILE)}, found"
            f" {', '.join(index) or 'nothing'}"
        )
    for name in sorted(set(map(str, places.values()))):
        if not name.endswith(".safetensors"):
            raise ExportError(
                f"{files.root / join(folder, INDEX_FILE)}: expected names of safetensors files, found"
                f" {name!r}"
            )
        yield files.get(join(folder, name), f"{INDEX_FILE} names it")


def _describe_missing(files: ModelFiles, folder: str) -> ExportError:
    place = files.root / folder
    others = sorted(each.name for each in place.glob("*") if each.suffix in PICKLES or each.name in _OTHERS)
    if others:
        return ExportError(
            f"expected {WEIGHTS_FILE} in {place}, found {', '.join(others)}: {_AS_SAFETENSORS}"
        )
    return ExportError(f"expected {WEIGHTS_FILE} or {INDEX_FILE} in {place}, found neither")

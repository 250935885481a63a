"""One file of tensors that several ONNX graphs share (ONNX external data)."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

INLINE_BYTES = 1024
"""Smaller tensors stay inside the graph."""

ALIGNMENT_BYTES = 4096
"""Every shared tensor starts on a page, so that ONNX Runtime can map it."""

TensorPlace = tuple[str, int]
"""A file, and a tensor's offset in it, in bytes."""


class WeightFile:
    """A file of tensors by their content: bytes that two graphs share are stored once.

    `there` locates tensors that other files of the folder already hold, by their SHA-256. With `inline`,
    every tensor stays in its graph and there is no file.
    """

    def __init__(
        self,
        file: str = "weights.bin",
        *,
        there: Mapping[bytes, TensorPlace] | None = None,
        inline: bool = False,
    ) -> None:
        self.file = file
        self._data = bytearray()
        self._places: dict[bytes, TensorPlace] = dict(there or {})
        self._inline = inline

    def add_tensor(self, name: str, array: npt.NDArray[np.generic]) -> onnx.TensorProto:
        """Return an initialiser of this name: inline if small, otherwise a reference into the file."""
        tensor = numpy_helper.from_array(np.asarray(array, order="C"), name)
        if self._inline or len(tensor.raw_data) < INLINE_BYTES:
            return tensor
        raw = tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        file, offset = self._store(raw)
        for key, value in (("location", file), ("offset", offset), ("length", len(raw))):
            tensor.external_data.add(key=key, value=str(value))
        return tensor

    def write(self, folder: Path) -> None:
        """Write the file into `folder`."""
        (folder / self.file).write_bytes(self._data)

    def _store(self, raw: bytes) -> TensorPlace:
        key = hashlib.sha256(raw).digest()
        if key not in self._places:
            self._data.extend(bytes(-len(self._data) % ALIGNMENT_BYTES))
            self._places[key] = (self.file, len(self._data))
            self._data.extend(raw)
        return self._places[key]


def locate_tensors(graph: Path) -> dict[bytes, TensorPlace]:
    """Return the places of a graph's external tensors, by their SHA-256."""
    found: dict[bytes, TensorPlace] = {}
    for tensor in onnx.load(graph, load_external_data=False).graph.initializer:
        about = {entry.key: entry.value for entry in tensor.external_data}
        if about:
            offset, length = int(about["offset"]), int(about["length"])
            with (graph.parent / about["location"]).open("rb") as file:
                file.seek(offset)
                found[hashlib.sha256(file.read(length)).digest()] = (about["location"], offset)
    return found

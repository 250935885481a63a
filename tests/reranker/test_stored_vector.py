"""The stored-vector format: what goes in comes out, damage is refused, and the document tells the truth."""

import base64
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from reranker.arrays import Floats
from reranker.errors import StoredVectorError
from reranker.stored_vector import (
    HEADER,
    LARGEST_VALUE,
    ValueType,
    pack,
    pack_floats,
    packed_size,
    row_type,
    unpack,
)
from reranker.text import Chunking, text_hash
from tests.support.paths import DOCS

DOCUMENT = DOCS / "reference/stored-vector.md"
TYPES = list(ValueType)
MAX_U16, MAX_U32, MAX_U64 = 2**16 - 1, 2**32 - 1, 2**64 - 1


def chunks_of_values(largest: float = LARGEST_VALUE) -> st.SearchStrategy[Floats]:
    shapes = st.tuples(st.integers(1, 4), st.integers(1, 40))
    return npst.arrays(np.float32, shapes, elements=st.floats(-largest, largest, width=32))


def packed_vectors() -> st.SearchStrategy[bytes]:
    return st.builds(
        pack,
        chunks_of_values(1.0),
        text_hash=st.integers(0, MAX_U64),
        model_tag=st.integers(0, MAX_U32),
        value_type=st.sampled_from(TYPES),
    )


def one(*values: float, value_type: ValueType = ValueType.INT8) -> bytes:
    return pack(np.array([values], np.float32), text_hash=1, model_tag=2, value_type=value_type)


def with_scale(packed: bytes, scale: float) -> bytes:
    return packed[:20] + np.array([scale], "<f4").tobytes() + packed[24:]


@given(chunks_of_values(), st.integers(0, MAX_U64), st.integers(0, MAX_U32))
def test_int8_keeps_every_value_within_half_a_scale(values: Floats, text: int, tag: int) -> None:
    read = unpack(pack(values, text_hash=text, model_tag=tag))
    scales = np.abs(values).max(axis=1, keepdims=True).astype(np.float64) / 127
    rounding = 1e-4  # the division by the scale is done in float32
    assert (np.abs(read.values - values.astype(np.float64)) <= scales * (0.5 + rounding) + 1e-38).all()
    assert read.values.dtype == np.float32
    assert (read.text_hash, read.model_tag) == (text, tag)


@given(chunks_of_values(), st.integers(0, MAX_U64), st.integers(0, MAX_U32))
def test_float16_keeps_eleven_bits(values: Floats, text: int, tag: int) -> None:
    read = unpack(pack(values, text_hash=text, model_tag=tag, value_type=ValueType.FLOAT16))
    assert np.array_equal(read.values, values.astype(np.float16).astype(np.float32))
    assert (np.abs(read.values - values) <= np.abs(values) * 2**-11 + 2**-25).all()
    assert (read.text_hash, read.model_tag) == (text, tag)


@pytest.mark.parametrize("value_type", TYPES)
@given(values=chunks_of_values(1.0))
def test_a_vector_that_was_read_is_stored_the_same_again(value_type: ValueType, values: Floats) -> None:
    first = pack(values, text_hash=0, model_tag=0, value_type=value_type)
    again = pack(unpack(first).values, text_hash=0, model_tag=0, value_type=value_type)
    assert np.allclose(unpack(again).values, unpack(first).values, rtol=1e-6, atol=1e-38)


@pytest.mark.parametrize("value_type", TYPES)
def test_zero_vectors_stay_zero(value_type: ValueType) -> None:
    read = unpack(pack(np.zeros((2, 3), np.float32), text_hash=0, model_tag=0, value_type=value_type))
    assert np.array_equal(read.values, np.zeros((2, 3), np.float32))


@pytest.mark.parametrize("value_type", TYPES)
def test_the_size_is_known_beforehand(value_type: ValueType) -> None:
    for num_chunks, dim in [(1, 1), (3, 5), (2, 384)]:
        packed = pack(np.ones((num_chunks, dim), np.float32), text_hash=0, model_tag=0, value_type=value_type)
        assert len(packed) == packed_size(dim, num_chunks, value_type)
        assert len(packed) == row_type(dim, num_chunks, value_type).itemsize


def test_a_384_dimensional_int8_vector_takes_408_bytes() -> None:
    assert packed_size(384, 1) == 408


@given(packed_vectors(), st.data())
def test_every_truncation_is_refused(packed: bytes, data: st.DataObject) -> None:
    length = data.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(StoredVectorError, match=r"expected .*, found "):
        unpack(packed[:length])


@given(packed_vectors(), st.binary(min_size=1, max_size=64))
def test_every_extension_is_refused(packed: bytes, tail: bytes) -> None:
    with pytest.raises(StoredVectorError, match=r"expected \d+ bytes .*, found \d+"):
        unpack(packed + tail)


@given(packed_vectors(), st.integers(0, 8 * 8 - 1))
def test_every_flipped_bit_of_the_form_is_refused(packed: bytes, bit: int) -> None:
    """Bytes 0 to 7 describe the form. Hash and tag, bytes 8 to 19, may hold any number."""
    damaged = bytearray(packed)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(StoredVectorError, match=r"expected .*, found "):
        unpack(bytes(damaged))


@given(packed_vectors(), st.integers(8 * 8, 20 * 8 - 1))
def test_a_flipped_bit_of_hash_or_tag_makes_the_vector_foreign(packed: bytes, bit: int) -> None:
    damaged = bytearray(packed)
    damaged[bit // 8] ^= 1 << bit % 8
    whole, read = unpack(packed), unpack(bytes(damaged))
    assert (read.text_hash != whole.text_hash) != (read.model_tag != whole.model_tag)


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        read = unpack(data)
    except StoredVectorError:
        return
    assert np.isfinite(read.values).all()


@pytest.mark.parametrize("scale", [np.nan, np.inf, -np.inf, 3e38, 517.0, -1.0])
def test_an_impossible_scale_is_refused(scale: float) -> None:
    with pytest.raises(StoredVectorError, match="scales of 0 to 516"):
        unpack(with_scale(one(0.5, -0.5), scale))


@pytest.mark.parametrize("bits", [b"\x00\x7c", b"\x00\xfc", b"\x00\x7e", b"\x01\x7c"])
def test_infinity_and_both_kinds_of_nan_are_refused_in_float16(bits: bytes) -> None:
    with pytest.raises(StoredVectorError, match="expected finite values"):
        unpack(one(0.5, -0.5, value_type=ValueType.FLOAT16)[:-2] + bits)


def test_a_signalling_nan_is_refused_as_a_scale() -> None:
    with pytest.raises(StoredVectorError, match="scales of 0 to 516"):
        unpack(one(0.5)[:20] + b"\x01\x00\x80\x7f" + one(0.5)[24:])


@pytest.mark.parametrize("value_type", TYPES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 65505.0, -1e5, 3.4e38])
def test_values_that_cannot_be_stored_are_refused(value: float, value_type: ValueType) -> None:
    with pytest.raises(StoredVectorError, match="expected values of at most 65504, found "):
        one(0.5, value, value_type=value_type)


@pytest.mark.parametrize("value_type", TYPES)
def test_the_largest_value_can_be_stored(value_type: ValueType) -> None:
    read = unpack(one(LARGEST_VALUE, -LARGEST_VALUE, 0.0, value_type=value_type))
    assert np.allclose(read.values, [[LARGEST_VALUE, -LARGEST_VALUE, 0.0]], rtol=1e-6)


@pytest.mark.parametrize("shape", [(4,), (0, 4), (4, 0), (1, 2, 3), (MAX_U16 + 1, 1), (1, MAX_U16 + 1)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(StoredVectorError, match=r"expected \(num_chunks, dim\) of 1 to 65535 each, found "):
        pack(np.zeros(shape, np.float32), text_hash=0, model_tag=0)


@pytest.mark.parametrize("shape", [(MAX_U16, 1), (1, MAX_U16)])
def test_the_largest_shapes_can_be_stored(shape: tuple[int, int]) -> None:
    assert unpack(pack(np.ones(shape, np.float32), text_hash=0, model_tag=0)).values.shape == shape


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (0, 2, "expected format version 1 and a 0 at offset 6, found version 2 and 0"),
        (6, 1, "expected format version 1 and a 0 at offset 6, found version 1 and 1"),
        (1, 9, r"expected value type 1 \(int8\) or 2 \(float16\), found 9"),
        (2, 0, "expected at least one chunk of one value, found 1 of 0"),
        (4, 0, "expected at least one chunk of one value, found 0 of 3"),
        (4, 2, "expected 34 bytes for 2 chunks of 3 INT8 values, found 27"),
    ],
)
def test_a_refusal_says_what_was_expected_and_found(offset: int, value: int, message: str) -> None:
    damaged = bytearray(one(1.0, 2.0, 3.0))
    damaged[offset] = value
    with pytest.raises(StoredVectorError, match=f"^{message}"):
        unpack(bytes(damaged))


def fenced(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert found, f"docs/reference/stored-vector.md has no block of {language}"
    return found.group(1)


def documented_bytes() -> bytes:
    lines = [line.split("|")[0].split(maxsplit=1)[1] for line in fenced("text").splitlines()]
    return bytes.fromhex("".join(lines))


EXAMPLE_TEXT = "How to wait a bit"
EXAMPLE_VALUES = np.array([[0.5, -0.5, 0.5, -0.5], [0.8, 0.6, 0.0, 0.0]], np.float32)


def test_the_documented_example_is_what_the_code_writes() -> None:
    packed = pack(EXAMPLE_VALUES, text_hash=text_hash(EXAMPLE_TEXT, Chunking()), model_tag=0x0BADCAFE)
    assert documented_bytes().hex(" ") == packed.hex(" ")
    assert base64.b64encode(packed).decode().rstrip("=") in DOCUMENT.read_text(encoding="utf-8")


def test_the_documented_reader_reads_the_documented_example() -> None:
    names: dict[str, Any] = {}
    exec(compile(fenced("python"), str(DOCUMENT), "exec"), names)  # noqa: S102  # the document's own ten lines
    unpadded = base64.b64encode(documented_bytes()).decode().rstrip("=")
    tag, hashed, vectors = names["read"](unpadded)
    assert tag == 0x0BADCAFE
    assert hashed == text_hash(EXAMPLE_TEXT, Chunking())
    assert np.allclose(vectors, EXAMPLE_VALUES, atol=0.8 / 127 / 2)
    half = one(0.5, 0.25, value_type=ValueType.FLOAT16)
    assert np.array_equal(names["read"](base64.b64encode(half).decode())[2], [[0.5, 0.25]])


def test_the_documented_table_names_every_offset() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    offsets = [int(cell) for cell in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)]
    fields = row_type(4, 2, ValueType.INT8).fields
    assert fields is not None
    assert offsets == [fields[name][1] for name in fields if name != "values"]
    assert HEADER.size == 20


def test_vectors_of_others_are_packed_at_length_1() -> None:
    found = pack_floats([np.array([3, 4], "<f4").tobytes(), None], dim=2, model_tag=7)
    assert found[1] is None
    stored = unpack(found[0] or b"")
    assert stored.values.tolist() == [[pytest.approx(0.6, abs=1e-3), pytest.approx(0.8, abs=1e-3)]]
    assert (stored.model_tag, stored.text_hash) == (7, 0)


@pytest.mark.parametrize("values", [[0, 0], [1, np.nan], [np.inf, 1], [1], [1, 2, 3], []], ids=str)
def test_what_has_no_direction_or_another_dimension_is_none(values: list[float]) -> None:
    sound = np.array([1e-30, 1e30], "<f4").tobytes()
    found = pack_floats([np.array(values, "<f4").tobytes(), sound], dim=2, model_tag=7)
    assert found[0] is None
    assert unpack(found[1] or b"").values.tolist() == [[0, 1]]

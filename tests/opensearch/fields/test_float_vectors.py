"""Vectors of a `knn_vector` field are read from hits as the k-NN plugin returns them."""

import base64
import json
import struct
from typing import Any

import msgspec
import pytest

from opensearch.fields.float_vectors import read_float_vectors

FIELD = "passage.embedding"
PACKED = struct.pack("<3f", 0.1, -2.0, 3.0)

DOC_VALUES = b'{"_index":"a","_score":1.0,"fields":{"passage.embedding":["zczMPQAAAMAAAEBA"]}}'
"""A hit as k-NN 3.7 writes it: `KNNVectorDocValueFormat` gives little-endian float32 in base64, padded.

No distribution with that plugin could be had: these bytes follow its source.
"""


def read(hit: bytes) -> bytes | None:
    return read_float_vectors([msgspec.json.decode(hit, type=dict[str, msgspec.Raw])], FIELD)[0]


def hit(values: Any) -> bytes:  # noqa: ANN401  # any JSON
    return json.dumps({"_id": "1", "fields": {FIELD: values, "other": [1]}}).encode()


def test_doc_values_are_base64_of_little_endian_floats() -> None:
    assert read(DOC_VALUES) == PACKED
    assert base64.b64encode(PACKED).decode() in DOC_VALUES.decode()


@pytest.mark.parametrize("source", [{"passage": {"n": 1, "embedding": [0.1, -2, 3]}}, {FIELD: [0.1, -2, 3]}])
def test_a_source_holds_numbers(source: dict[str, Any]) -> None:
    assert read(json.dumps({"_source": {"passages": 1, **source}}).encode()) == PACKED


def test_lists_among_the_fields_are_read_too() -> None:
    assert read(hit([0.1, -2, 3.0])) == PACKED


@pytest.mark.parametrize(
    "values", [[], ["!"], ["AAAA", "AAAA"], [[1, 2]], [True], [None], {"a": 1}, "AAAA", [1e300]]
)
def test_what_is_not_one_vector_is_none(values: object) -> None:
    assert read(hit(values)) in (None, b"")


def test_a_hit_without_the_field_has_no_vector() -> None:
    hits = [msgspec.json.decode(each, type=dict[str, msgspec.Raw]) for each in (b"{}", b'{"fields":{}}')]
    assert read_float_vectors(hits, FIELD) == [None, None]

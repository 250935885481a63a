"""Vectors of an index's own `knn_vector` field in hits, as the k-NN plugin returns them.

`_source` holds a list of numbers. `docvalue_fields` with `format: binary` gives base64 of little-endian
float32. (`fields` gives nothing if the plugin derives the source, as it does from 3.0 on.)
"""

import binascii
import struct
from collections.abc import Sequence

import msgspec
from msgspec import Raw

from opensearch.fields.vector_field import Hit

_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_NUMBERS = msgspec.json.Decoder(list[float])
_BASE64 = msgspec.json.Decoder(list[bytes])


def read_float_vectors(hits: Sequence[Hit], field: str) -> list[bytes | None]:
    """Return each hit's vector as little-endian float32, None if it does not have exactly one."""
    return [_read_value(hit, field) for hit in hits]


def _read_value(hit: Hit, field: str) -> bytes | None:
    try:
        raw = _FIELDS.decode(hit["fields"]).get(field) if "fields" in hit else None
        if raw is None and "_source" in hit:
            raw = _find_in_source(hit["_source"], field)
        if raw is None:
            return None
        return _read_base64(raw) if b'"' in bytes(raw) else _read_numbers(raw)
    except (msgspec.DecodeError, binascii.Error, OverflowError):  # another kind of field, or several values
        return None


def _find_in_source(source: Raw, path: str) -> Raw | None:
    """Return the value at a dotted path, names with dots included; None if there is none."""
    for key, value in _FIELDS.decode(source).items():
        if key == path:
            return value
        if path.startswith(f"{key}."):
            found = _find_in_source(value, path[len(key) + 1 :])
            if found is not None:
                return found
    return None


def _read_base64(raw: Raw) -> bytes | None:
    values = _BASE64.decode(raw)
    return values[0] if len(values) == 1 else None


def _read_numbers(raw: Raw) -> bytes:
    values = _NUMBERS.decode(raw)
    return struct.pack(f"<{len(values)}f", *values)

"""Remove the vector fields from any response with documents: hits of every kind, `_doc`, `_mget`, `get`.

Everything else comes back byte for byte.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from opensearch.fields.vector_field import vector_field
from opensearch.rawjson.style import Style, detect_style
from opensearch.rawjson.surrogates import swap_surrogates

FieldsOf = Callable[[str | None], tuple[str, ...]]
"""Maps a concrete index's name, None if the response does not say it, to its vector fields."""

_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_ARRAY = msgspec.json.Decoder(list[Raw])
_NAME = msgspec.json.Decoder(str)

_OF_THE_USER = frozenset({"_source", "fields", "highlight", "sort"})
"""Members of a hit that hold the user's own data: nothing in them is a hit. Aggregations may be named so."""
_SCALARS = frozenset({"_index", "_id", "_score", "_version", "_seq_no", "_primary_term", "_routing"})
"""Members of a hit that hold one value, which is not searched: a response has a hundred of them."""

_WITHOUT_HITS = _OF_THE_USER | _SCALARS
_MARKS_OF_A_DOCUMENT = frozenset({"_index", "_id", "found", "_score"})


def redact_response(body: bytes, fields_of: FieldsOf) -> bytes:
    """Return a response without the vector fields; one that is not JSON comes back as it is."""
    style, whole = detect_style(body), Raw(body)
    cut = redact_part(whole, fields_of, style, 0)
    return body if cut is whole else bytes(cut) + style.end


def redact_part(part: Raw, fields_of: FieldsOf, style: Style, depth: int, name: str = "") -> Raw:
    """Return a member of a response, `depth` objects and arrays deep, without the vector fields.

    One that is not JSON comes back as it is.
    """
    cutter = _Redactor(fields_of, style)
    try:
        return _redact(part, None, cutter, depth, name)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        halves = swap_surrogates(bytes(part))
    if halves is None:
        return part
    try:
        return Raw(halves.restore(bytes(_redact(Raw(halves.text), None, cutter, depth, name))))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return part


@dataclass(frozen=True)
class _Redactor:
    fields_of: FieldsOf
    style: Style


def _redact(raw: Raw, index: str | None, cutter: _Redactor, depth: int, name: str = "") -> Raw:
    """Return a member's value without the vector fields, the same object if it has none."""
    text = bytes(raw)
    if b'"_source"' not in text and b'"fields"' not in text:
        return raw
    if text[:1] == b"{":
        return _redact_object(raw, index, cutter, depth, name)
    if text[:1] != b"[":
        return raw
    items = _ARRAY.decode(raw)
    cut = [_redact(item, index, cutter, depth + 1) for item in items]
    changed = any(new is not old for new, old in zip(cut, items, strict=True))
    return cutter.style.array(cut, depth) if changed else raw


def _redact_object(raw: Raw, index: str | None, cutter: _Redactor, depth: int, name: str) -> Raw:
    members = _OBJECT.decode(raw)
    if "_index" in members:
        index = _NAME.decode(members["_index"])
    is_document = name != "aggregations" and _is_document(members)
    cut = {
        key: value if is_document and key in _WITHOUT_HITS else _redact(value, index, cutter, depth + 1, key)
        for key, value in members.items()
    }
    changed = any(cut[key] is not value for key, value in members.items())
    if is_document and "_nested" not in members:  # its source is a part of the document's, without the vector
        for field in cutter.fields_of(index):
            without = vector_field(field).remove(cut, cutter.style, depth)
            changed = changed or without is not cut
            cut = without
    return cutter.style.object(cut, depth) if changed else raw


def _is_document(members: dict[str, Raw]) -> bool:
    """Whether a `_source` or `fields` here is a document's; `filter_path` may leave nothing else of it."""
    if not {"_source", "fields"} & members.keys():
        return False
    return bool(_MARKS_OF_A_DOCUMENT & members.keys()) or members.keys() <= _OF_THE_USER

"""Cuts our fields out of any answer with documents in it: hits of every kind, `_doc`, `_mget`, `get`.

What does not hold them comes back byte for byte.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from opensearch.json_style import Style, style_of
from opensearch.vector_field import vector_field

FieldsOf = Callable[[str | None], tuple[str, ...]]
"""A concrete index's name, None where the answer does not say it, to our fields there."""

_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_ARRAY = msgspec.json.Decoder(list[Raw])
_NAME = msgspec.json.Decoder(str)

_OF_THE_USER = frozenset({"_source", "fields", "highlight", "sort"})
"""Members of a hit that hold the user's own data: nothing in them is a hit."""


def cut_answer(body: bytes, fields_of: FieldsOf) -> bytes:
    """Return an answer without our fields; one that cannot be read as JSON comes back as it is."""
    style, whole = style_of(body), Raw(body)
    try:
        cut = _cut(whole, None, _Cutter(fields_of, style), 0)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return body
    return body if cut is whole else bytes(cut) + style.end


def cut_part(part: Raw, fields_of: FieldsOf, style: Style, depth: int) -> Raw:
    """Return a part of an answer, `depth` objects and arrays deep, without our fields."""
    return _cut(part, None, _Cutter(fields_of, style), depth)


@dataclass(frozen=True)
class _Cutter:
    fields_of: FieldsOf
    style: Style


def _cut(raw: Raw, index: str | None, cutter: _Cutter, depth: int) -> Raw:
    """Return a value without our fields, the same object where it has none."""
    text = bytes(raw)
    if b'"_source"' not in text and b'"fields"' not in text:
        return raw
    if text[:1] == b"{":
        return _cut_object(raw, index, cutter, depth)
    if text[:1] != b"[":
        return raw
    items = _ARRAY.decode(raw)
    cut = [_cut(item, index, cutter, depth + 1) for item in items]
    changed = any(new is not old for new, old in zip(cut, items, strict=True))
    return cutter.style.array(cut, depth) if changed else raw


def _cut_object(raw: Raw, index: str | None, cutter: _Cutter, depth: int) -> Raw:
    members = _OBJECT.decode(raw)
    if "_index" in members:
        index = _NAME.decode(members["_index"])
    cut = {
        name: value if name in _OF_THE_USER else _cut(value, index, cutter, depth + 1)
        for name, value in members.items()
    }
    changed = any(cut[name] is not value for name, value in members.items())
    if "_source" in members or "fields" in members:
        for field in cutter.fields_of(index):
            without = vector_field(field).cut(cut, cutter.style, depth)
            changed = changed or without.keys() != cut.keys() or _differs(without, cut)
            cut = without
    return cutter.style.object(cut, depth) if changed else raw


def _differs(without: dict[str, Raw], cut: dict[str, Raw]) -> bool:
    return any(bytes(without[name]) != bytes(cut[name]) for name in ("_source", "fields") if name in cut)

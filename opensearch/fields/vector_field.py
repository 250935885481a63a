"""The vector field in a hit or a document: read it and remove it, in `_source` and in `fields`."""

import binascii
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from opensearch.rawjson.members import JsonObjectError, Member, remove_path
from opensearch.rawjson.style import Compact, Style

_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_TEXTS_OF_BYTES = msgspec.json.Decoder(list[bytes])

Hit = dict[str, Raw]

_DEPTH_OF_A_HIT = 3
"""A hit lies in an array in an object in the response."""


class VectorField:
    """One field that holds vectors, by its dotted name."""

    def __init__(self, field: str) -> None:
        self.name = field
        self._path = tuple(field.split("."))
        self._opening, self._closing = _last_member_parts(self._path)
        self._only_field = b"{" + msgspec.json.encode(field) + b':["', b'"]}'

    def read(self, hit: Hit) -> bytes | None:
        """Return the stored vector's bytes, None if the hit does not have exactly one."""
        encoded = self._read_encoded(hit)
        return None if encoded is None else _decode_all([encoded])[0]

    def read_all(self, hits: Sequence[Hit]) -> list[bytes | None]:
        """Return what `read` returns for each hit; the vectors are decoded at once."""
        encoded = [self._read_encoded(hit) for hit in hits]
        decoded = iter(_decode_all([each for each in encoded if each is not None]))
        return [None if each is None else next(decoded) for each in encoded]

    def remove(self, hit: Hit, style: Style | None = None, depth: int = _DEPTH_OF_A_HIT) -> Hit:
        """Return the hit, or any object with a `_source` or `fields`, without the vector field.

        An object that held nothing else is removed too. A hit without the field comes back as it is.
        """
        cut = self.remove_from_fields(hit, style or Compact(), depth)
        source = bytes(hit.get("_source", b""))
        without = self.remove_from_source(source)
        return cut if without == source else {**cut, "_source": Raw(without)}

    def remove_from_source(self, source: bytes) -> bytes:
        """Return a document's source without the vector field; every other byte stays."""
        start = self._find_at_end(source)
        return source[:start] + b"}" if start >= 0 else self._find_anywhere(source)[0]

    def remove_from_fields(self, hit: Hit, style: Style, depth: int = _DEPTH_OF_A_HIT) -> Hit:
        """Return the hit, or any object with `fields`, without the vector field in them."""
        raw = hit.get("fields")
        if raw is None or not bytes(raw).startswith(b"{"):
            return hit
        fields = _OBJECT.decode(raw)
        if self.name not in fields:
            return hit
        rest = {name: value for name, value in fields.items() if name != self.name}
        if rest:
            return {**hit, "fields": style.object(rest, depth + 1)}
        return {name: value for name, value in hit.items() if name != "fields"}

    def _read_encoded(self, hit: Hit) -> bytes | None:
        encoded = self._read_fields(bytes(hit["fields"])) if "fields" in hit else None
        if encoded is None and "_source" in hit:
            encoded = self._read_source(bytes(hit["_source"]))
        return encoded

    def _read_source(self, source: bytes) -> bytes | None:
        start = self._find_at_end(source)
        if start >= 0:
            return source[start + len(self._opening) : -len(self._closing)]
        value = self._find_anywhere(source)[1]
        return value.encode("ascii", "replace") if isinstance(value, str) else None

    def _find_anywhere(self, source: bytes) -> tuple[bytes, Any]:
        """Return the source without the vector's member, wherever it is, and the member's value.

        It may have its dotted name too. A parent that is `null` is how a client removes a vector.
        """
        if self._path[0].encode() not in source:
            return source, None
        try:
            rest, member = _remove(source.decode(), self._path)
        except (JsonObjectError, UnicodeDecodeError):  # not readable, so not written by Twinrank
            return source, None
        if member is None:
            return source, None
        is_empty = "\n" in rest and not rest.strip("{} \n")  # `pretty` writes it with one space
        return b"{ }" if is_empty else rest.encode(), member.value

    def _read_fields(self, fields: bytes) -> bytes | None:
        opening, closing = self._only_field
        if fields.startswith(opening) and fields.endswith(closing):
            value = fields[len(opening) : -len(closing)]
            if b'"' not in value and b"\\" not in value:
                return value
        raw = _OBJECT.decode(fields).get(self.name)
        if raw is None:
            return None
        values: list[Any] = msgspec.json.decode(raw)
        # one value, which a client's own wildcard may have requested once more; several are unusable
        is_single = bool(values) and isinstance(values[0], str) and values.count(values[0]) == len(values)
        single = values[0] if is_single else ""
        return single.encode("ascii", "replace")

    def _find_at_end(self, source: bytes) -> int:
        """Return the start of `,"rerank":{"vector":"BASE64"}}` at the source's end, -1 if it does not end so.

        The indexer puts it there. At the end, the closing braces fix its depth. A comma followed by a quote
        cannot be inside a JSON string without ending it. So this is the member itself, never text that looks
        like it.
        """
        if not source.endswith(self._closing):
            return -1
        start, end = source.rfind(self._opening), len(source) - len(self._closing)
        is_whole = start >= 0 and source.find(b'"', start + len(self._opening)) == end
        return start if is_whole else -1


@lru_cache
def vector_field(name: str) -> VectorField:
    """Return the field of that name; made once, since a search needs it for every hit."""
    return VectorField(name)


def _remove(source: str, path: tuple[str, ...]) -> tuple[str, Member | None]:
    rest, member = remove_path(source, path)
    if member is not None or len(path) == 1:
        return rest, member
    rest, member = remove_path(source, (".".join(path),))
    if member is not None:
        return rest, member
    rest, parent = remove_path(source, path[:-1])
    return (rest, parent) if parent is not None and parent.value is None else (source, None)


def _last_member_parts(path: tuple[str, ...]) -> tuple[bytes, bytes]:
    """Return the bytes before and after the value if the field is a source's last member."""
    opening = b":{".join(msgspec.json.encode(name) for name in path)
    return b"," + opening + b':"', b'"' + b"}" * len(path)


def _decode_all(encoded: Sequence[bytes]) -> list[bytes | None]:
    """Decode base64 with padding or, as doc values give it, without; None for what is not base64.

    msgspec decodes in a third of `binascii`'s time, and takes nothing but base64. `binascii` passes over
    other characters.
    """
    padded = [each + b"=" * (-len(each) % 4) for each in encoded]
    try:
        return list(_TEXTS_OF_BYTES.decode(b'["' + b'","'.join(padded) + b'"]')) if padded else []
    except (msgspec.DecodeError, UnicodeDecodeError):
        if len(encoded) > 1:
            return [_decode_all([each])[0] for each in encoded]
    try:
        return [binascii.a2b_base64(padded[0])]
    except binascii.Error:
        return [None]

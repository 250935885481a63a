"""One document: its id, the text that is encoded, and its source with or without a vector."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from indexer.errors import DocumentError
from opensearch.rawjson.members import JsonObjectError, Member, append_member, read_members, remove_member

ID = "_id"
MAX_ID_BYTES = 512
"""OpenSearch's own limit."""


@dataclass(frozen=True)
class Document:
    """A document as its user wrote it: `source` is the text of a JSON object."""

    source: str
    id: str | None = None

    @cached_property
    def members(self) -> list[Member]:
        """The members of the source.

        Raises:
            DocumentError: the source is no JSON object.
        """
        try:
            return read_members(self.source)
        except JsonObjectError as error:
            raise DocumentError(str(error)) from error

    @cached_property
    def values(self) -> dict[str, Any]:
        """The source as Python values; numbers are floats."""
        return {member.key: member.value for member in self.members}

    def text(self, source_fields: Sequence[str]) -> str:
        """Return the document's text: see `text_of`."""
        return text_of(self.values, source_fields)

    def with_vector(self, field: str, vector: str) -> str:
        """Return the source with `vector`, base64, under the dotted path `field` and nowhere else.

        It is put last, or last in the object that is already at the path's beginning.

        Raises:
            DocumentError: something that is no object is in the place of a vector field's parent.
        """
        return _put(self.without_vector(field), field, json.dumps(vector))

    def with_null(self, field: str) -> str:
        """Return the source with `null` for a vector: as a partial document it removes the vector.

        Raises:
            DocumentError: something that is no object is in the place of a vector field's parent.
        """
        return _put(self.without_vector(field), field, "null")

    def without_vector(self, field: str) -> str:
        """Return the source without anything under the dotted path `field`.

        Raises:
            DocumentError: something that is no object is in the place of a vector field's parent.
        """
        return _cut(self.source, self.members, field)


def text_of(values: Mapping[str, Any], source_fields: Sequence[str]) -> str:
    """Return the texts of the source fields, one a line, without what is missing, blank or no string."""
    return "\n".join(
        text for path in source_fields for text in _find_texts(values, path) if not text.isspace()
    )


def parse(raw: bytes) -> Document:
    """Read one document from its line; a member `_id`, a string or number, becomes the document's id.

    Raises:
        DocumentError: not UTF-8, not a JSON object, or an `_id` that is none.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(f"expected UTF-8, found {error}") from error
    document = Document(text)
    places = [place for place, member in enumerate(document.members) if member.key == ID]
    if not places:
        return document
    if len(places) > 1:
        raise DocumentError(f"expected one {ID}, found {len(places)}")
    member = document.members[places[0]]
    return Document(remove_member(text, document.members, places[0]), _read_id(member, text))


def _read_id(member: Member, text: str) -> str | None:
    if member.value is None:
        return None
    is_number = isinstance(member.value, float)
    found = text[member.value_start : member.end] if is_number else member.value
    if isinstance(found, str) and 0 < len(_encode_text(found)) <= MAX_ID_BYTES:
        return found
    raise DocumentError(
        f"expected as {ID} a number or a string of 1 to {MAX_ID_BYTES} bytes without lone surrogates,"
        f" found {text[member.value_start : member.end]:.60}"
    )


def _encode_text(text: str) -> bytes:
    """Return the text in UTF-8; b"" if it holds a lone surrogate, which has no such form."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return b""


def _find_texts(value: Any, path: str) -> Iterator[str]:  # noqa: ANN401  # any JSON value
    """Yield the strings at a dotted path, through arrays; names may hold dots themselves."""
    if isinstance(value, list):
        for element in value:
            yield from _find_texts(element, path)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key == path:
                yield from _find_strings(inner)
            elif path.startswith(f"{key}."):
                yield from _find_texts(inner, path[len(key) + 1 :])


def _find_strings(value: Any) -> Iterator[str]:  # noqa: ANN401  # any JSON value
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, list):
        for element in value:
            yield from _find_strings(element)


def _cut(text: str, found: list[Member], field: str) -> str:
    """Return an object's text without the member `field`, without `null` and emptied objects on its path."""
    for place, member in enumerate(found):
        if member.key == field:
            rest = remove_member(text, found, place)
            return _cut(rest, read_members(rest), field)
        if not field.startswith(f"{member.key}."):
            continue
        inner = _cut_inner(text, member, field)
        if inner is None:
            rest = remove_member(text, found, place)
            return _cut(rest, read_members(rest), field)
        text = text[: member.value_start] + inner + text[member.end :]
        if len(inner) != member.end - member.value_start:
            return _cut(text, read_members(text), field)
    return text


def _cut_inner(text: str, member: Member, field: str) -> str | None:
    """Return the text of a member on the path without what is deeper; None if nothing is left."""
    inner = text[member.value_start : member.end]
    if member.value is None:
        return None
    if not isinstance(member.value, dict):
        raise DocumentError(
            f"expected an object at {member.key!r}, since the vector is stored at {field!r} in it, found"
            f" {inner:.60}. Rename the member, or choose another --vector-field"
        )
    rest = _cut(inner, read_members(inner), field[len(member.key) + 1 :])
    return rest if read_members(rest) or not member.value else None


def _put(text: str, field: str, value: str) -> str:
    """Return an object's text, which has nothing at `field`, with the JSON `value` there."""
    found = read_members(text)
    for member in found:
        if field.startswith(f"{member.key}."):
            inner = _put(text[member.value_start : member.end], field[len(member.key) + 1 :], value)
            return text[: member.value_start] + inner + text[member.end :]
    name, *deeper = field.split(".")
    nested = f"{json.dumps(name)}:"
    for part in deeper:
        nested += f"{{{json.dumps(part)}:"
    return append_member(text, nested + value + "}" * len(deeper), is_empty=not found)

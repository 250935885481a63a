"""The body of a partial update: its parts by their place in the text, and how OpenSearch merges them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from opensearch.rawjson.members import JsonObjectError, Member, append_member, read_members, remove_member


@dataclass(frozen=True)
class UpdateBody:
    """`{"doc": ..., "upsert": ..., "script": ...}` as its user wrote it."""

    text: str

    @classmethod
    def parse(cls, raw: bytes) -> "UpdateBody":
        """Read a body.

        Raises:
            JsonObjectError: no JSON object in UTF-8, or a part that must be an object and is none.
        """
        try:
            body = cls(raw.decode("utf-8").rstrip("\r\n"))
        except UnicodeDecodeError as error:
            raise JsonObjectError(f"expected UTF-8, found {error}") from error
        for name in ("doc", "upsert"):
            if name in body._by_key and not isinstance(body._by_key[name].value, dict):
                raise JsonObjectError(f"expected an object as {name}")
        return body

    @cached_property
    def _members(self) -> list[Member]:
        return read_members(self.text)

    @cached_property
    def _by_key(self) -> dict[str, Member]:
        return {member.key: member for member in self._members}

    @property
    def has_script(self) -> bool:
        """Whether a script changes the document."""
        return "script" in self._by_key

    def is_set(self, flag: str) -> bool:
        """Return whether a flag such as `doc_as_upsert` is on."""
        return flag in self._by_key and self._by_key[flag].value in (True, "true")

    def value(self, part: str) -> dict[str, Any] | None:
        """Return `doc` or `upsert` as Python values; None if it is absent."""
        return self._by_key[part].value if part in self._by_key else None

    def source(self, part: str) -> str:
        """Return the text of a part that is there."""
        member = self._by_key[part]
        return self.text[member.value_start : member.end]

    def with_part(self, part: str, source: str) -> "UpdateBody":
        """Return the body with another text as that part, in its place or last."""
        member = self._by_key.get(part)
        if member is None:
            return UpdateBody(append_member(self.text, f'"{part}":{source}', is_empty=not self._members))
        return UpdateBody(self.text[: member.value_start] + source + self.text[member.end :])

    def without_parts(self, *parts: str) -> "UpdateBody":
        """Return the body without the parts of those names."""
        body = self
        for part in parts:
            if part in body._by_key:
                body = UpdateBody(
                    remove_member(body.text, body._members, body._members.index(body._by_key[part]))
                )
        return body


def merge(source: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Merge a partial document into a document as OpenSearch does: objects merge, the rest is replaced."""
    result = dict(source)
    for key, value in changes.items():
        held = result.get(key)
        is_deeper = isinstance(held, dict) and isinstance(value, dict)
        result[key] = merge(held, value) if is_deeper else value  # type: ignore[arg-type]
    return result


def touches(changes: Mapping[str, Any], paths: Iterable[str]) -> bool:
    """Return whether a partial document may change anything at or below one of the dotted paths."""
    return any(
        f"{path}.".startswith(f"{key}.") or f"{key}.".startswith(f"{path}.")
        for path in paths
        for key in changes
    )


def determines(changes: Mapping[str, Any], paths: Iterable[str]) -> bool:
    """Return whether a partial document alone determines the value at every path."""
    return all("." not in path and path in changes and not isinstance(changes[path], dict) for path in paths)

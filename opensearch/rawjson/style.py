"""Write JSON with OpenSearch's spacing, so that rebuilt responses look as if OpenSearch had written them."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import msgspec
from msgspec import Raw


class Style(Protocol):
    """Writes objects and arrays of values that are in the same style already.

    `depth` says how many objects and arrays the written one lies in; `end` closes a whole response.
    """

    end: bytes

    def object(self, members: Mapping[str, Raw], depth: int) -> Raw:
        """Return a JSON object."""
        ...

    def array(self, items: Iterable[Raw], depth: int) -> Raw:
        """Return a JSON array."""
        ...


class Compact:
    """No spaces, as OpenSearch answers unless asked otherwise."""

    end = b""

    def object(self, members: Mapping[str, Raw], depth: int) -> Raw:
        """Return a JSON object."""
        return Raw(msgspec.json.encode(members))

    def array(self, items: Iterable[Raw], depth: int) -> Raw:
        """Return a JSON array."""
        return Raw(msgspec.json.encode(list(items)))


class Pretty:
    """`pretty`: every member and item on a line of its own, two spaces deeper, ` : ` after a name.

    `within` says how many objects and arrays the written part lies in, if it is no whole response.
    `copies_sources`: OpenSearch copies a `_source` as it is stored, and writes no spaces before it then.
    """

    def __init__(self, within: int = 0, *, copies_sources: bool = True) -> None:
        self.end = b"" if within else b"\n"
        self._within = within
        self._colons = {"_source": b":"} if copies_sources else {}

    def object(self, members: Mapping[str, Raw], depth: int) -> Raw:
        """Return a JSON object."""
        written = [
            msgspec.json.encode(name) + self._colons.get(name, b" : ") + bytes(raw)
            for name, raw in members.items()
        ]
        return _join_lines(b"{", written, b"}", self._within + depth)

    def array(self, items: Iterable[Raw], depth: int) -> Raw:
        """Return a JSON array."""
        return _join_lines(b"[", [bytes(item) for item in items], b"]", self._within + depth)


def write_value(value: Any, style: Style, depth: int) -> Raw:  # noqa: ANN401  # any JSON value
    """Return a decoded JSON value in a style, `depth` objects and arrays deep."""
    if isinstance(value, dict):
        return style.object(
            {name: write_value(each, style, depth + 1) for name, each in value.items()}, depth
        )
    if isinstance(value, list):
        return style.array([write_value(each, style, depth + 1) for each in value], depth)
    return Raw(msgspec.json.encode(value))


def detect_style(body: bytes, within: int = 0) -> Style:
    """Return the style of an object that OpenSearch wrote, `within` objects and arrays deep in a response."""
    if not body.startswith((b"{\n", b"{ }")):
        return Compact()
    # with `filter_path` it writes sources itself; inside a string the quotes would be escaped
    return Pretty(within, copies_sources=b'"_source" : ' not in body or b'"_source":' in body)


def _join_lines(opening: bytes, written: list[bytes], closing: bytes, depth: int) -> Raw:
    if not written:
        return Raw(opening + b" " + closing)
    outer, inner = b"\n" + b"  " * depth, b"\n" + b"  " * (depth + 1)
    return Raw(opening + inner + (b"," + inner).join(written) + outer + closing)

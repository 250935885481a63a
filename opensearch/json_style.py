"""How OpenSearch spaces its JSON: what is put together here from its bytes looks as if it had written it."""

from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec
from msgspec import Raw


class Style(Protocol):
    """Writes objects and arrays of values that stand in the same style already.

    `depth` says how many objects and arrays the written one lies in; `end` closes a whole answer.
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
    """`pretty`: every member and item on a line of its own, two spaces deeper, ` : ` after a name."""

    end = b"\n"

    def object(self, members: Mapping[str, Raw], depth: int) -> Raw:
        """Return a JSON object."""
        written = [msgspec.json.encode(name) + b" : " + bytes(raw) for name, raw in members.items()]
        return _lines(b"{", written, b"}", depth)

    def array(self, items: Iterable[Raw], depth: int) -> Raw:
        """Return a JSON array."""
        return _lines(b"[", [bytes(item) for item in items], b"]", depth)


def style_of(body: bytes) -> Style:
    """Return the style of an object that OpenSearch wrote."""
    return Pretty() if body.startswith((b"{\n", b"{ }")) else Compact()


def _lines(opening: bytes, written: list[bytes], closing: bytes, depth: int) -> Raw:
    if not written:
        return Raw(opening + b" " + closing)
    outer, inner = b"\n" + b"  " * depth, b"\n" + b"  " * (depth + 1)
    return Raw(opening + inner + (b"," + inner).join(written) + outer + closing)

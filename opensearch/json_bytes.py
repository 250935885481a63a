"""Cut one member out of a JSON object and leave every other byte as it was.

OpenSearch answers a document's source as the user wrote it: spelling of numbers, escapes, order of keys.
Decoding and encoding again would change all of them, so our own field is cut from the bytes.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KEY = re.compile(rb'[\s,]*("(?:[^"\\]|\\.)*")\s*:\s*')
_OPEN = re.compile(rb"\s*\{")


@dataclass(frozen=True)
class Member:
    """One member of an object: `start` is its key's first byte, `value_start` to `end` its value."""

    key: str
    start: int
    value_start: int
    end: int


def without_member(data: bytes, path: tuple[str, ...]) -> tuple[bytes, bytes | None]:
    """Return the object's bytes without the member at `path`, and that member's value.

    A parent that held nothing else goes with it. The object comes back as it is, with None, where there is
    no such member. `data` is one JSON object that OpenSearch wrote, so it is well formed.

    Raises:
        msgspec.DecodeError: `data` is no JSON object.
    """
    members = list(object_members(data))
    for position, member in enumerate(members):
        if member.key != path[0]:
            continue
        value = data[member.value_start : member.end]
        if len(path) == 1:
            return _cut(data, members, position), value
        if not value.startswith(b"{"):
            return data, None
        inner, found = without_member(value, path[1:])
        if found is None:
            return data, None
        if next(object_members(inner), None) is None:
            return _cut(data, members, position), found
        return data[: member.value_start] + inner + data[member.end :], found
    return data, None


def object_members(data: bytes) -> Iterator[Member]:
    """Yield the members of a JSON object with their places, in order.

    Raises:
        msgspec.DecodeError: `data` is no JSON object.
    """
    values = _OBJECT.decode(data)
    opening = _OPEN.match(data)
    place = opening.end() if opening else 0
    for value in values.values():
        key = _KEY.match(data, place)
        if key is None:  # a key that stands twice: msgspec keeps the last, so the places do not fit any more
            return
        end = key.end() + len(memoryview(value))
        yield Member(json.loads(key[1]), key.start(1), key.end(), end)
        place = end


def _cut(data: bytes, members: list[Member], position: int) -> bytes:
    """Cut a member with the comma that stood between it and its neighbour."""
    if position > 0:
        return data[: members[position - 1].end] + data[members[position].end :]
    if len(members) > 1:
        return data[: members[0].start] + data[members[1].start :]
    return data[: members[0].start] + data[members[0].end :]

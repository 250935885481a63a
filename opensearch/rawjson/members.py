"""Remove or add members of a JSON object in its text, so that every other byte stays.

Nothing is re-serialised: numbers such as `1.10`, escapes, spaces and key order stay as the user wrote them.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]  # public by name, absent from the type stubs
from typing import Any


class JsonObjectError(ValueError):
    """A text that is not one JSON object; says what was found, and where."""


_SPACE = re.compile(r"[ \t\n\r]*")
# Numbers are not used; as floats they cannot hit Python's limit of digits in an integer.
_DECODER = json.JSONDecoder(parse_int=float)


@dataclass(frozen=True, slots=True)
class Member:
    """One member: `text[start:end]` is `"key": value`, `text[value_start:end]` the value alone."""

    key: str
    start: int
    value_start: int
    end: int
    value: Any


def read_members(text: str) -> list[Member]:
    """Return the members of the one JSON object that `text` is.

    Raises:
        JsonObjectError: it is not JSON, not an object, or nested too deeply.
    """
    try:
        return _read_members(text)
    except ValueError as error:
        raise JsonObjectError(f"expected a JSON object, found: {error}") from error
    except RecursionError as error:
        raise JsonObjectError("expected a JSON object, found one that is nested too deeply") from error


def _read_members(text: str) -> list[Member]:
    position = _expect(text, _skip_space(text, 0), "{")
    found: list[Member] = []
    if text[position : position + 1] == "}":
        position += 1
    else:
        while True:
            member = _read_member(text, position)
            found.append(member)
            position = _skip_space(text, member.end)
            if text[position : position + 1] != ",":
                break
            position = _skip_space(text, position + 1)
        position = _expect(text, position, "}")
    end = _skip_space(text, position)
    if end != len(text):
        raise json.JSONDecodeError("more after the object's end", text, end)
    return found


def _read_member(text: str, start: int) -> Member:
    key, end = scanstring(text, _expect(text, start, '"', skip=False), True)
    value_start = _expect(text, _skip_space(text, end), ":")
    value, value_end = _DECODER.raw_decode(text, value_start)
    return Member(key, start, value_start, value_end, value)


def _skip_space(text: str, position: int) -> int:
    matched = _SPACE.match(text, position)
    return matched.end() if matched else position


def _expect(text: str, position: int, mark: str, *, skip: bool = True) -> int:
    """Return the place after `mark`, and after the space behind it."""
    if text[position : position + 1] != mark:
        raise json.JSONDecodeError(f"{mark} is missing", text, position)
    return _skip_space(text, position + 1) if skip else position + 1


def remove_member(text: str, found: list[Member], position: int) -> str:
    """Return the object's text without its member number `position`, and without one comma beside it."""
    member = found[position]
    if position + 1 < len(found):
        return text[: member.start] + text[found[position + 1].start :]
    start = found[position - 1].end if position else member.start
    return text[:start] + text[member.end :]


def append_member(text: str, member: str, *, is_empty: bool) -> str:
    """Return the object's text with `member`, written as `"key":value`, as the last one."""
    close = text.rindex("}")
    return f"{text[:close]}{'' if is_empty else ','}{member}{text[close:]}"


def remove_path(text: str, path: Sequence[str]) -> tuple[str, Member | None]:
    """Return the object's text without the member at `path`, and that member.

    An object on the path that held nothing else is removed too. Without such a member the text comes back as
    it is, with None.

    Raises:
        JsonObjectError: the text is not one JSON object.
    """
    found = read_members(text)
    for position, member in enumerate(found):
        if member.key != path[0]:
            continue
        if len(path) == 1:
            return remove_member(text, found, position), member
        if not isinstance(member.value, dict):
            break
        rest, inner = remove_path(text[member.value_start : member.end], path[1:])
        if inner is None:
            break
        if not read_members(rest):
            return remove_member(text, found, position), inner
        return text[: member.value_start] + rest + text[member.end :], inner
    return text, None

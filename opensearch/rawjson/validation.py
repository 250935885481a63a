"""Validate a user's JSON against a table of settings, with errors that name the key and the problem.

A table is a msgspec struct whose unknown keys are errors: a misspelt one must not pass for its default.
"""

import json
import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

Table = TypeVar("Table", bound=msgspec.Struct)


_KINDS = {
    "object": "a JSON object", "array": "a list", "str": "a text", "int": "a whole number",
    "float": "a number", "bool": "true or false", "null": "null",
}  # fmt: skip
"""msgspec's names of JSON's types, in words."""


class InvalidError(Exception):
    """A value is not valid; says which key, what was expected and what was found."""


def validate(value: Any, table: type[Table], place: str, remedy: str) -> Table:  # noqa: ANN401  # any JSON
    """Return a decoded JSON value as a table.

    Args:
        value: the decoded JSON.
        table: the keys and their types.
        place: its name, such as `_meta.rerank`: every error begins with it.
        remedy: what to do: every error ends with it.

    Raises:
        InvalidError: unknown key, missing key, wrong type or a value outside its limits.
    """
    sections = dict(_iterate_sections("", table))
    for path, section in sections.items():
        for found_at, part in _find_parts(value, path):
            for key in part:
                if key not in section.__struct_encode_fields__:
                    raise build_error(f"{place}{found_at}.{key}", *_describe_unknown(key, section), remedy)
    try:
        return msgspec.convert(value, table)
    except msgspec.ValidationError as error:
        path, expected, found = _explain(str(error), value, sections)
        raise build_error(place + path, expected, found, remedy) from error


def build_error(place: str, expected: str, found: str, remedy: str) -> InvalidError:
    """Return the error in the one form that all have."""
    return InvalidError(f"{place}: expected {expected}, found {found}. {remedy}")


def describe_types(problem: str) -> str:
    """Return a message of msgspec's, like "Expected `int | null`", with types in words."""

    def describe(match: re.Match[str]) -> str:
        kinds = match[1].split(" | ")
        return " or ".join(_KINDS[kind] for kind in kinds) if _KINDS.keys() >= set(kinds) else match[0]

    return re.sub("`([^`]+)`", describe, problem)


def describe_kind(value: Any) -> str:  # noqa: ANN401  # any JSON value
    """Return what a decoded JSON value is, in words."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    kinds = {dict: "object", list: "array", str: "str", int: "int", float: "float"}
    return _KINDS[kinds[type(value)]]


def _iterate_sections(path: str, table: type[msgspec.Struct]) -> Iterator[tuple[str, type[msgspec.Struct]]]:
    """Yield every table in a table, itself first, by the path of its key; `key[]` for the items of a list."""
    yield path, table
    for name, hint in get_type_hints(table).items():
        for items, section in _iterate_structs(hint):
            yield from _iterate_sections(f"{path}.{name}{items}", section)


def _iterate_structs(hint: Any) -> Iterator[tuple[str, type[msgspec.Struct]]]:  # noqa: ANN401  # any type
    """Yield the tables in a type, but for those by name: each with "[]" if it is that of a list's items."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield "", hint
    if get_origin(hint) is dict:  # its keys are names that somebody chose, not those of a table
        return
    is_list = get_origin(hint) is tuple
    for each in get_args(hint):
        for items, section in _iterate_structs(each):
            yield ("[]" if is_list else items), section


def _find_parts(value: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:  # noqa: ANN401
    """Yield every object at a section's path, with the path that names it, such as `.key[0]`."""
    found = [("", value)]
    for step in path.split(".")[1:]:
        key = step.removesuffix("[]")
        inner = [(f"{at}.{key}", one.get(key)) for at, one in found if isinstance(one, dict)]
        found = [each for at, one in inner for each in _list_items(at, one)] if step != key else inner
    yield from ((at, one) for at, one in found if isinstance(one, dict))


def _list_items(path: str, value: Any) -> list[tuple[str, Any]]:  # noqa: ANN401
    """Return a list's items by their paths, none for anything else."""
    return [(f"{path}[{n}]", one) for n, one in enumerate(value)] if isinstance(value, list) else []


def _describe_unknown(key: str, section: type[msgspec.Struct]) -> tuple[str, str]:
    known = section.__struct_encode_fields__
    near = get_close_matches(key, known, n=1)
    hint = f" (did you mean `{near[0]}`?)" if near else ""
    return f"one of {', '.join(known)}", f"an unknown key{hint}"


def _explain(
    problem: str,
    value: Any,  # noqa: ANN401
    sections: dict[str, type[msgspec.Struct]],
) -> tuple[str, str, str]:
    """Turn msgspec's message, like "Expected `int` <= 9 - at `$.key`", into path, expectation and finding."""
    what, _, place = problem.rpartition(" - at `$")
    what, path = (what, place.rstrip("`")) if what else (problem, "")
    if "missing required field" in what:
        return f"{path}.{what.split('`')[1]}", "this setting", "none"
    found = value
    for step in re.findall(r"\w+", path):
        found = found[int(step)] if isinstance(found, list) else found[step]
    expected = what.removeprefix("Expected ").partition(", got ")[0]
    return path, _list_choices(path, sections) or describe_types(expected), json.dumps(found)[:80]


def _list_choices(path: str, sections: dict[str, type[msgspec.Struct]]) -> str:
    """Return the words that a key takes, empty if it takes other values."""
    section, _, name = re.sub(r"\[\d+\]", "[]", path).rpartition(".")
    hint = get_type_hints(sections[section]).get(name) if section in sections else None
    for each in (hint, *get_args(hint)):
        if get_origin(each) is Literal:
            return "one of " + ", ".join(get_args(each))
    return ""

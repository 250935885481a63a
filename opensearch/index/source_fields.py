"""Source fields that never have text, by an index's mapping, and what to choose instead."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opensearch.index.metadata import Index

TEXT_TYPES = frozenset({
    "text", "match_only_text", "keyword", "wildcard", "search_as_you_type", "icu_collation_keyword",
    "completion",
})  # fmt: skip
"""Types whose values in `_source` are texts."""

_OBJECTS = frozenset({"object", "nested"})


def text_fields(index: Index) -> list[str]:
    """Return the mapped fields that documents give text in, analyzed ones first."""
    found = [(name, field.get("type")) for name, field in _iterate_fields(index.mapping) if _has_text(field)]
    found = [(name, kind) for name, kind in found if not _find_copy_sources(index, name)]
    return [name for name, kind in sorted(found, key=lambda one: one[1] == "keyword")]


def field_notes(index: Index, names: Sequence[str]) -> Iterator[str]:
    """Yield why a source field cannot have text or is not mapped, and what to choose instead."""
    for name in names:
        problem = _find_problem(index, name)
        if problem is not None:
            yield f"{name}: {problem}"


def propose_fields(index: Index) -> str:
    """Return a sentence that names the fields that could be encoded, empty if there is none."""
    names = text_fields(index)
    return f" Fields of {index.name} with text: {', '.join(names[:10])}" if names else ""


def paths_overlap(name: str, other: str) -> bool:
    """Return whether one of two dotted paths holds the other."""
    return f"{name}.".startswith(f"{other}.") or f"{other}.".startswith(f"{name}.")


def _find_problem(index: Index, name: str) -> str | None:
    parent, field = _find_field(index.mapping, name)
    if field is None and parent is None:
        return _describe_unmapped(index, name)
    if field is None:
        return f"a multi-field, which is in no `_source`, so it has no text to encode. Use {parent}"
    kind = field.get("type", "object")
    if kind == "alias":
        return f"an alias, which is in no `_source`, so it has no text to encode. Use {field.get('path')}"
    if sources := _find_copy_sources(index, name):
        return (
            "a `copy_to` target, which is in no `_source` unless documents give it themselves, so it has no"
            f" text to encode. Use {', '.join(sources)}"
        )
    if kind in _OBJECTS:
        inner = [f"{name}.{inside}" for inside, one in _iterate_fields(field) if _has_text(one)]
        return f"an object, which has no text of its own. Use {', '.join(inner) or 'a field inside it'}"
    if kind not in TEXT_TYPES:
        return f"of type {kind}, not a text: it has no text to encode.{propose_fields(index)}"
    return None


def _describe_unmapped(index: Index, name: str) -> str:
    if name in index.mapping.get("derived", {}):
        return (
            f"a derived field, which is in no `_source`, so it has no text to encode.{propose_fields(index)}"
        )
    near = difflib.get_close_matches(name, text_fields(index), n=1)
    meant = f" Did you mean {near[0]}?" if near else propose_fields(index)
    if index.mapping.get("dynamic") == "strict":
        return f"not mapped in {index.name}, whose mapping is strict: no document can have it.{meant}"
    return f"not mapped in {index.name} yet: check the spelling, or index documents with it.{meant}"


def _find_field(mapping: Mapping[str, Any], name: str) -> tuple[str | None, Mapping[str, Any] | None]:
    """Return a field's mapping; of a multi-field, its parent's name and no mapping; else neither."""
    fields = dict(_iterate_fields(mapping, objects=True))
    if name in fields:
        return None, fields[name]
    parent, _, last = name.rpartition(".")
    is_multi = last in fields.get(parent, {}).get("fields", {})
    return (parent, None) if is_multi else (None, None)


def _iterate_fields(
    node: Mapping[str, Any], *, objects: bool = False
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the dotted name and the mapping of every field inside; of objects themselves with `objects`."""
    for name, field in node.get("properties", {}).items():
        is_object = field.get("type", "object") in _OBJECTS
        if objects or not is_object:
            yield name, field
        for inside, one in _iterate_fields(field, objects=objects):
            yield f"{name}.{inside}", one


def _has_text(field: Mapping[str, Any]) -> bool:
    return field.get("type") in TEXT_TYPES


def _find_copy_sources(index: Index, name: str) -> list[str]:
    """Return the fields that are copied into one."""
    copied = ((source, field.get("copy_to", ())) for source, field in _iterate_fields(index.mapping))
    return [source for source, to in copied if name in ((to,) if isinstance(to, str) else to)]

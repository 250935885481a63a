"""The way to a field through an index's mapping."""

from collections.abc import Mapping
from typing import Any


def walk_to_field(mapping: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return the definitions on the way to a field, its own last; none if the mapping does not have it.

    `name` is the full one, with dots. A key of `properties` may have dots itself.
    """
    found, rest = [mapping], name
    while rest:
        properties: Mapping[str, Mapping[str, Any]] = found[-1].get("properties", {})
        key = next((key for key in properties if f"{rest}.".startswith(f"{key}.")), None)
        if key is None:
            return []
        found.append(properties[key])
        rest = rest[len(key) + 1 :]
    return found[1:]

"""Make the table of docs/reference/settings.md: `python -m tests.support.settings_table`."""

from collections.abc import Iterator
from typing import Any

import msgspec

from opensearch.settings.table import RerankSettings


def settings_table() -> str:
    """Return a Markdown table: every setting with its type, default, limits and sentence."""
    schema = msgspec.json.schema(RerankSettings)
    rows = _rows("", schema["$defs"]["RerankSettings"], schema["$defs"])
    return "\n".join(["| setting | type | default | limits | meaning |", "|---|---|---|---|---|", *rows])


def _rows(prefix: str, struct: dict[str, Any], definitions: dict[str, Any]) -> Iterator[str]:
    for name, field in struct["properties"].items():
        reference = find_reference(field)
        if reference is not None:
            yield from _rows(f"{prefix}{name}.", definitions[reference], definitions)
            continue
        default = "required" if name in struct.get("required", ()) else f"`{_shown(field.get('default'))}`"
        cells = (f"`{prefix}{name}`", _type(field), default, _limits(field), field.get("description", ""))
        yield f"| {' | '.join(cells)} |"


def find_reference(field: dict[str, Any]) -> str | None:
    """Return the group that a setting is, None if it is a value."""
    target = field.get("$ref") or next(
        (each["$ref"] for each in field.get("allOf", ()) if "$ref" in each), None
    )
    return None if target is None else target.rpartition("/")[2]


def _type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return "one of " + ", ".join(f"`{value}`" for value in field["enum"])
    if "anyOf" in field:
        return " or ".join(_type(each) for each in field["anyOf"])
    kind = "object" if "$ref" in field else str(field.get("type", ""))
    return f"array of {_type(field['items'])}" if kind == "array" else kind


def _limits(field: dict[str, Any]) -> str:
    numbers = [field, *field.get("anyOf", ())]
    for each in numbers:
        if "exclusiveMinimum" in each:
            return f"above {each['exclusiveMinimum']:g}, to {each['maximum']:g}"
        if "minimum" in each:
            return f"{each['minimum']:g} to {each['maximum']:g}"
    if "minItems" in field:
        return f"at least {field['minItems']}"
    return ""


def _shown(value: object) -> str:
    return msgspec.json.encode(value).decode()


if __name__ == "__main__":
    print(settings_table())  # noqa: T201  # a tool for the documents' writer

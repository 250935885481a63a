"""Fields of `fusion.signals` that have no numbers, by an index's mapping."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opensearch.index.metadata import Index
from opensearch.settings.signals import SignalSettings

NUMBERS = frozenset({
    "byte", "double", "float", "half_float", "integer", "long", "scaled_float", "short", "token_count",
    "unsigned_long",
})  # fmt: skip
DATES = frozenset({"date", "date_nanos"})


def find_signal_problems(index: Index, signals: Sequence[SignalSettings]) -> Iterator[str]:
    """Yield a sentence for each signal whose field is mapped, and holds nothing that the signal can read."""
    for number, signal in enumerate(signals):
        field = find_field(index.mapping, signal.field)
        if field is None:  # not yet, perhaps: then every document counts as `missing`
            continue
        kind = field.get("type", "object")
        kinds, what = (DATES, "date") if signal.is_date else (NUMBERS, "numeric")
        found = f"a field of type {kind}" if field.get("doc_values", True) else "one with `doc_values: false`"
        if kind not in kinds or not field.get("doc_values", True):
            yield (
                f"fusion.signals[{number}].field: expected a {what} field with doc values, found"
                f" {signal.field} of {index.name}, {found}. Name another field"
            )


def find_field(mapping: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """Return the mapping of a field by its dotted name, through objects, multi-fields and an alias."""
    found = _find_inside(mapping, name)
    if found is not None and found.get("type") == "alias":
        return _find_inside(mapping, str(found.get("path")))
    return found


def _find_inside(node: Mapping[str, Any], rest: str) -> Mapping[str, Any] | None:
    for members in (node.get("properties", {}), node.get("fields", {})):
        for key, inner in members.items():
            if key == rest:
                return inner if isinstance(inner, dict) else None
            if rest.startswith(f"{key}."):
                found = _find_inside(inner, rest[len(key) + 1 :])
                if found is not None:
                    return found
    return None

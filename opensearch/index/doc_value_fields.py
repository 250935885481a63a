"""Fields whose doc values settings name and an index does not have, by its mapping."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from opensearch.index.metadata import Index
from opensearch.settings.table import RerankSettings

NUMBERS = frozenset({
    "byte", "double", "float", "half_float", "integer", "long", "scaled_float", "short", "token_count",
    "unsigned_long",
})  # fmt: skip
DATES = frozenset({"date", "date_nanos"})


TEXTS = frozenset({"ip", "keyword"}) | NUMBERS
TERMS = TEXTS | {"boolean"}


def find_doc_value_problems(index: Index, settings: RerankSettings) -> Iterator[str]:
    """Yield a sentence for each field that is mapped, and has no doc values that its setting can read."""
    for number, signal in enumerate(settings.fusion.signals):
        place = f"fusion.signals[{number}].field"
        kinds, what = (DATES, "date") if signal.is_date else (NUMBERS, "numeric")
        yield from _find_problem(index, place, signal.field, kinds, what)
    for number, name in enumerate(settings.keep_exact):
        yield from _find_problem(index, f"keep_exact[{number}]", name, TEXTS, "keyword or numeric")
    for number, rule in enumerate(settings.rules):
        for key, action in (("boost", rule.then.boost), ("bury", rule.then.bury)):
            for name in (action.term or {}) if action is not None else ():
                place = f"rules[{number}].then.{key}.term"
                yield from _find_problem(index, place, name, TERMS, "keyword, numeric or boolean")


def _find_problem(index: Index, place: str, name: str, kinds: Collection[str], what: str) -> Iterator[str]:
    field = find_field(index.mapping, name)
    if field is None:  # not yet, perhaps: until then no document has a value
        return
    kind, has_values = field.get("type", "object"), field.get("doc_values", True)
    if kind in kinds and has_values:
        return
    found = f"a field of type {kind}" if has_values else "one with `doc_values: false`"
    inner = [key for key, one in field.get("fields", {}).items() if one.get("type") in kinds]
    use = f"Use {name}.{inner[0]}" if inner else "Name another field"
    yield f"{place}: expected a {what} field with doc values, found {name} of {index.name}, {found}. {use}"


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

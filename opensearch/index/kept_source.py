"""What an index keeps of its documents in `_source`: whether it can write one again without a loss.

OpenSearch indexes every field of a document that it is sent, and keeps in `_source` what the mapping says. An
update, a reindex and every second write of a document start from `_source`: a field that is not kept there is
no longer searchable afterwards.

Derived source (`index.derived_source.enabled`) is no loss: it holds every field that can be searched, and
OpenSearch refuses mappings that it could not rebuild.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_LITERALS = re.compile(r"[^.*]+")


@dataclass(frozen=True)
class KeptSource:
    """What a mapping's `_source` keeps.

    Attributes:
        is_stored: False with `_source.enabled: false`.
        excludes: patterns of fields that are not kept.
        includes: patterns of the only fields that are kept; empty for all.
    """

    is_stored: bool = True
    excludes: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "KeptSource":
        """Read an index's mapping."""
        source: Mapping[str, Any] = mapping.get("_source", {})
        is_stored = str(source.get("enabled", True)).lower() != "false"
        includes = _read_patterns(source.get("includes"))
        return cls(is_stored, _read_patterns(source.get("excludes")), () if "*" in includes else includes)

    @property
    def is_whole(self) -> bool:
        """Whether every field is kept."""
        return self.dropped_by is None

    @property
    def dropped_by(self) -> str | None:
        """The part of the mapping that drops fields, for messages; None if nothing does."""
        if not self.is_stored:
            return "`_source.enabled: false`"
        if self.excludes:
            return f"`_source.excludes` {list(self.excludes)}"
        return f"`_source.includes` {list(self.includes)}" if self.includes else None

    @property
    def problem(self) -> str | None:
        """Why documents cannot be written again from `_source`, and what to do; None if they can."""
        if self.dropped_by is None:
            return None
        return (
            f"expected a `_source` that keeps every field, found {self.dropped_by}: writing a document again"
            " would make what it does not keep unsearchable. Index the documents again from where they come"
            " from, with twinrank index or through the proxy without an ingest pipeline"
        )

    def keeps(self, field: str) -> bool:
        """Return whether the value of a field, a dotted path, is kept."""
        is_excluded = any(matches(pattern, field) for pattern in self.excludes)
        is_included = not self.includes or any(matches(pattern, field) for pattern in self.includes)
        return self.is_stored and is_included and not is_excluded

    def drops(self, values: Mapping[str, Any]) -> bool:
        """Return whether a document, or a part of one, holds a value that is not kept."""
        return not self.is_whole and any(not self.keeps(path) for path in _iterate_paths(values, ""))

    def may_drop_of_script(self, script: Any, body: str) -> bool:  # noqa: ANN401  # any JSON value
        """Return whether an update by that script may set a field that is not kept; `body` is all its JSON.

        What a script sets cannot be known: it may if the body names an excluded field, and always if the
        mapping lists what it keeps, or if the script is stored elsewhere.
        """
        is_elsewhere = isinstance(script, Mapping) and "id" in script
        if self.is_whole or not self.is_stored or self.includes or is_elsewhere:
            return not self.is_whole
        return any(
            all(literal in body for literal in _LITERALS.findall(pattern)) for pattern in self.excludes
        )


def matches(pattern: str, field: str) -> bool:
    """Return whether a `_source` pattern names a field or an object that holds it; only `*` is special."""
    expression = _compile(pattern)
    parts = field.split(".")
    return any(expression.fullmatch(".".join(parts[:end])) for end in range(1, len(parts) + 1))


@lru_cache(1024)
def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)


def _read_patterns(value: Any) -> tuple[str, ...]:  # noqa: ANN401  # one pattern, a list of them, or none
    return (value,) if isinstance(value, str) else tuple(value or ())


def _iterate_paths(value: Any, path: str) -> Iterator[str]:  # noqa: ANN401  # any JSON value
    """Yield the dotted paths at which a document holds values; `null` and empty objects are none."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _iterate_paths(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from _iterate_paths(inner, path)
    elif value is not None:
        yield path

"""Settings come in layers, a server's defaults, the index template, the index mapping: what holds, and why.

A template's settings arrive in the mapping of each index that is made from it, so the mapping is what counts;
that a value came from the template is known by comparing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from opensearch.settings import Place, RerankSettings, SettingsError, parse_settings

OF_AN_INDEX = frozenset({"model", "source_fields", "field", "chunk"})
"""What decides how vectors are made and where they are: who writes them reads the mapping alone."""

Defaults = Mapping[str, Any]
"""A server's defaults, in the form of `_meta.rerank`, checked by `server_defaults`."""

_REQUIRED = {"model": "any", "source_fields": ["any"]}


@dataclass(frozen=True)
class EffectiveSetting:
    """One setting as it holds: its dotted name, its value and the layer that it comes from."""

    name: str
    value: Any
    origin: str


def server_defaults(value: Any, name: str) -> Defaults:  # noqa: ANN401  # any JSON value
    """Check a server's defaults, which were read from the file `name`.

    Raises:
        SettingsError: no object, an unknown or wrong setting, or one that belongs to an index.
    """
    if not isinstance(value, dict):
        raise SettingsError(f"{name}: expected an object of settings, found {type(value).__name__}")
    for key in value.keys() & OF_AN_INDEX:
        raise SettingsError(
            f"{name}.{key}: expected only settings that a server may decide, found `{key}`, by which vectors"
            " are made or found. Set it in the mapping of each index: twinrank enable"
        )
    parse_settings(_REQUIRED | value, Place(name, "Correct the file"))
    return value


def with_defaults(defaults: Defaults, rerank: Any) -> Any:  # noqa: ANN401  # any JSON value may stand in a mapping
    """Return `_meta.rerank` with what it leaves unsaid taken from the defaults."""
    if not defaults or not isinstance(rerank, dict):
        return rerank
    merged = {**defaults, **rerank}
    for key, value in defaults.items():
        if isinstance(value, dict) and isinstance(rerank.get(key), dict):
            merged[key] = {**value, **rerank[key]}
    return merged


def effective_settings(
    settings: RerankSettings, rerank: Mapping[str, Any], template: Mapping[str, Any], defaults: Defaults
) -> list[EffectiveSetting]:
    """Return every setting with its origin, in the table's order.

    Args:
        settings: what holds.
        rerank: the index's own `_meta.rerank`.
        template: the `_meta.rerank` of its index template, empty where there is none.
        defaults: the server's.
    """
    layers = dict(_values(rerank)), dict(_values(template)), dict(_values(defaults))
    return [EffectiveSetting(name, value, _origin(name, value, *layers)) for name, value in flat(settings)]


def flat(settings: msgspec.Struct, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every setting by its dotted name."""
    for info in msgspec.structs.fields(settings):
        value = getattr(settings, info.name)
        if isinstance(value, msgspec.Struct):
            yield from flat(value, f"{prefix}{info.name}.")
        else:
            yield prefix + info.name, value


def _values(layer: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in layer.items():
        if isinstance(value, dict):
            yield from _values(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _origin(
    name: str, value: object, mapping: dict[str, Any], template: dict[str, Any], defaults: dict[str, Any]
) -> str:
    if name in mapping:
        same = name in template and template[name] == mapping[name]
        return "index template" if same else "index mapping"
    if name in defaults:
        return "server defaults"
    return "model bundle" if name == "fusion.weight" and value is None else "default"

"""Settings come in layers: a server's defaults, the index template, the index mapping; which one applies.

A template's settings are copied to the mapping of each index that is made from it, so the mapping counts.
A comparison shows that a value came from the template.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from opensearch.rawjson.validation import describe_kind
from opensearch.settings.fusion import FusionSettings
from opensearch.settings.group import SettingsGroup
from opensearch.settings.table import RerankSettings, SettingsError, encode_value
from opensearch.settings.validation import SettingsSource, parse_settings

OF_AN_INDEX = frozenset({"model", "source_fields", "field", "vectors", "chunk", "versioning", "migration"})
"""Settings that decide how vectors are made and where they are: writers read the mapping alone."""

ONLY_IN_MAPPING = OF_AN_INDEX | {"experiment", "index_languages"}
"""Settings that a server has no defaults for."""

OF_BUNDLE = ("weight", "feedback", "smoothing")
"""The settings of `fusion` that a model bundle has its own values for."""

OF_THE_BUNDLE = "model bundle"
"""Where such a value comes from."""

Defaults = Mapping[str, Any]
"""A server's defaults, in the form of `_meta.rerank`, checked by `check_server_defaults`."""

_REQUIRED = {"model": "any", "source_fields": ["any"]}


@dataclass(frozen=True)
class BundleDefaults:
    """What a model bundle brings if nothing is set: `fusion` has its values by name.

    `model` is whose vectors it reads: for the indices of another model it says nothing. `is_calibrated` says
    whether its crossing has probabilities.
    """

    name: str
    model: str
    fusion: Mapping[str, float]
    is_calibrated: bool = True

    def value(self, name: str, settings: RerankSettings) -> float | None:
        """Return what holds for an unset setting, None if that is not the bundle's to say."""
        if settings.model != self.model or settings.fusion.method != "log_linear":
            return None
        section, _, key = name.rpartition(".")
        return self.fusion.get(key) if section == "fusion" else None


@dataclass(frozen=True)
class EffectiveSetting:
    """One setting as it applies: its dotted name, its value and its layer."""

    name: str
    value: Any
    origin: str


def check_server_defaults(value: Any, name: str) -> Defaults:  # noqa: ANN401  # any JSON value
    """Check a server's defaults, which were read from the file `name`.

    Raises:
        SettingsError: no object, an unknown or wrong setting, or one that belongs to an index.
    """
    if not isinstance(value, dict):
        raise SettingsError(f"{name}: expected a JSON object of settings, found {describe_kind(value)}")
    for key in value.keys() & OF_AN_INDEX:
        raise SettingsError(
            f"{name}.{key}: expected only settings that a server may decide, found `{key}`, by which vectors"
            " are made or found. Set it in the mapping of each index: twinrank enable"
        )
    if "index_languages" in value:
        raise SettingsError(
            f"{name}.index_languages: expected only settings that a server may decide, found"
            " `index_languages`, which says what one index holds. twinrank enable writes it"
        )
    if "experiment" in value:
        raise SettingsError(
            f"{name}.experiment: expected only settings that a server may decide, found `experiment`, which"
            " belongs to one index. Start it there: twinrank experiment start"
        )
    parse_settings(_REQUIRED | value, SettingsSource(name, "Correct the file"))
    return value


def apply_defaults(defaults: Defaults, rerank: Any) -> Any:  # noqa: ANN401  # any JSON value may be in a mapping
    """Return `_meta.rerank` completed by the defaults.

    A default weight is for the defaults' own fusion method: it is not used if the mapping names another.
    """
    if not defaults or not isinstance(rerank, dict):
        return rerank
    merged = {**defaults, **rerank}
    for key, value in defaults.items():
        if isinstance(value, dict) and isinstance(rerank.get(key), dict):
            merged[key] = {**value, **rerank[key]}
    given = rerank.get("fusion")
    if (
        isinstance(given, dict)
        and "weight" not in given
        and _read_method(given) != _read_method(defaults.get("fusion", {}))
    ):
        merged["fusion"].pop("weight", None)
    return merged


def _read_method(fusion: Mapping[str, Any]) -> Any:  # noqa: ANN401  # a mapping may hold anything there
    return fusion.get("method", FusionSettings().method)


def effective_settings(
    settings: RerankSettings,
    rerank: Mapping[str, Any],
    template: Mapping[str, Any],
    defaults: Defaults,
    bundle: BundleDefaults | None = None,
) -> list[EffectiveSetting]:
    """Return every setting with its origin, in the table's order.

    Args:
        settings: the settings that apply.
        rerank: the index's own `_meta.rerank`.
        template: the `_meta.rerank` of its index template, empty if there is none.
        defaults: the server's.
        bundle: what holds if none of these says anything; None leaves such values out.
    """
    layers = dict(_flatten_layer(rerank)), dict(_flatten_layer(template)), dict(_flatten_layer(defaults))
    unsaid = OF_THE_BUNDLE if settings.fusion.method == "log_linear" else "default"
    of_bundle = {f"fusion.{name}": getattr(settings.fusion, name) for name in OF_BUNDLE}
    origins = {name: unsaid if value is None else "default" for name, value in of_bundle.items()}
    return [
        EffectiveSetting(
            name,
            bundle.value(name, settings) if value is None and bundle is not None else value,
            _find_origin(name, *layers) or origins.get(name, "default"),
        )
        for name, value in flatten(settings)
    ]


def flatten(settings: msgspec.Struct, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every setting by its dotted name; a list of objects is as JSON has it."""
    for info in msgspec.structs.fields(settings):
        value = getattr(settings, info.name)
        if isinstance(value, SettingsGroup):
            yield from flatten(value, f"{prefix}{info.name}.")
        elif (
            isinstance(value, tuple) and any(isinstance(each, msgspec.Struct) for each in value)
        ) or isinstance(value, dict | msgspec.Struct):
            yield prefix + info.name, encode_value(value)
        else:
            yield prefix + info.name, value


def _flatten_layer(layer: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in layer.items():
        yield prefix + key, value
        if isinstance(value, dict):
            yield from _flatten_layer(value, f"{prefix}{key}.")


def _find_origin(
    name: str, mapping: dict[str, Any], template: dict[str, Any], defaults: dict[str, Any]
) -> str | None:
    if name in mapping:
        same = name in template and template[name] == mapping[name]
        return "index template" if same else "index mapping"
    return "server defaults" if name in defaults else None

"""The settings of one index, as they stand in its mapping under `_meta.rerank`.

This is the one table: name, type, default, limits and sentence of every setting. Validation comes from it.
"""

import json
import re
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

META_KEY = "rerank"
DEFAULT_FIELD = "rerank.vector"


class SettingsError(Exception):
    """`_meta.rerank` is not what it must be: says which key, what was expected and what was found."""


class _Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Immutable, and an unknown key is an error: a misspelt setting must not pass for its default."""


class FusionSettings(_Settings, frozen=True):
    """How first-stage and crossing scores are combined."""

    method: Annotated[
        Literal["log_linear", "none"],
        Meta(description="`log_linear`: first-stage score x exp(weight x crossing); `none`: crossing alone."),
    ] = "log_linear"
    weight: Annotated[
        Annotated[float, Meta(ge=0, le=40)] | None,
        Meta(description="Weight of the crossing; unset: the bundle's own."),
    ] = None


class ChunkSettings(_Settings, frozen=True):
    """How a document longer than the encoder's limit is cut."""

    max_tokens: Annotated[int, Meta(ge=16, le=512, description="Tokens of a chunk.")] = 256
    overlap: Annotated[int, Meta(ge=0, le=128, description="Tokens that a chunk repeats.")] = 32
    max_chunks: Annotated[int, Meta(ge=1, le=64, description="Chunks encoded of one document.")] = 4


class RerankSettings(_Settings, frozen=True):
    """Everything an admin can set for an index."""

    model: Annotated[str, Meta(min_length=1, description="Name of the bundle whose vectors the field holds.")]
    source_fields: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(min_length=1, description="Fields, as dotted paths, whose text is encoded, in this order."),
    ]
    enabled: Annotated[bool, Meta(description="Whether searches are reranked.")] = True
    field: Annotated[str, Meta(min_length=1, description="The `binary` field that holds the vector.")] = (
        DEFAULT_FIELD
    )
    window_size: Annotated[
        int, Meta(ge=1, le=10_000, description="How many first-stage hits are reranked.")
    ] = 100
    fusion: FusionSettings = FusionSettings()
    chunk: ChunkSettings = ChunkSettings()
    deadline_ms: Annotated[
        int,
        Meta(
            ge=1, le=60_000, description="Longest wait for the query's vector once OpenSearch has answered."
        ),
    ] = 50
    on_failure: Annotated[
        Literal["first_stage", "error"],
        Meta(description="When reranking fails: answer the first-stage page, or a 503."),
    ] = "first_stage"
    versioning: Annotated[
        Literal["internal", "external"],
        Meta(description="`external`: writers give version numbers of their own; repairs keep them."),
    ] = "internal"


_SECTIONS: dict[str, type[_Settings]] = {
    "": RerankSettings,
    ".fusion": FusionSettings,
    ".chunk": ChunkSettings,
}
_CHOICES = {
    f"{path}.{name}": "one of " + ", ".join(get_args(hint))
    for path, section in _SECTIONS.items()
    for name, hint in get_type_hints(section).items()
    if get_origin(hint) is Literal
}


def parse_settings(rerank: Any) -> RerankSettings:  # noqa: ANN401  # any JSON value may stand in a mapping
    """Validate what stands under `_meta.rerank`, already decoded from JSON.

    Raises:
        SettingsError: unknown key, missing key, wrong type or a value outside its limits.
    """
    for path, section in _SECTIONS.items():
        part = rerank.get(path[1:]) if path and isinstance(rerank, dict) else rerank
        _refuse_unknown_keys(part, path, section)
    try:
        return msgspec.convert(rerank, RerankSettings)
    except msgspec.ValidationError as error:
        raise _refusal(*_explained(str(error), rerank)) from error


def settings_meta(settings: RerankSettings) -> dict[str, Any]:
    """Return the JSON value for `_meta.rerank`: everything that is not at its default."""
    return _changed(settings) | {"source_fields": list(settings.source_fields)}


def _changed(settings: _Settings) -> dict[str, Any]:
    """Compare by value: msgspec's `omit_defaults` compares by identity, so what was parsed stays."""
    changed = {}
    for field in msgspec.structs.fields(settings):
        value = getattr(settings, field.name)
        if value != field.default:
            changed[field.name] = _changed(value) if isinstance(value, _Settings) else value
    return changed


def _refuse_unknown_keys(part: object, path: str, section: type[_Settings]) -> None:
    known = section.__struct_fields__
    for key in part if isinstance(part, dict) else ():
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f" (did you mean `{near[0]}`?)" if near else ""
            raise _refusal(f"{path}.{key}", f"one of {', '.join(known)}", f"an unknown key{hint}")


def _explained(problem: str, rerank: Any) -> tuple[str, str, str]:  # noqa: ANN401  # as in parse_settings
    """Turn msgspec's message, like "Expected `int` <= 9 - at `$.key`", into path, expectation and finding."""
    what, _, place = problem.rpartition(" - at `$")
    what, path = (what, place.rstrip("`")) if what else (problem, "")
    if "missing required field" in what:
        return f"{path}.{what.split('`')[1]}", "this setting", "none"
    found = rerank
    for step in re.findall(r"\w+", path):
        found = found[int(step)] if isinstance(found, list) else found[step]
    expected = what.removeprefix("Expected ").partition(", got ")[0]
    return path, _CHOICES.get(path, expected), json.dumps(found)[:80]


def _refusal(path: str, expected: str, found: str) -> SettingsError:
    return SettingsError(
        f"_meta.{META_KEY}{path}: expected {expected}, found {found}. Correct it with PUT _mapping"
    )

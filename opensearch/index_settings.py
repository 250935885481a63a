"""What a search's target indices say about reranking, read from OpenSearch's get-index answer."""

from typing import Any
from urllib.parse import urlencode

import msgspec

from opensearch.settings import DEFAULT_FIELD, RerankSettings, SettingsError, parse_settings
from opensearch.target import MAX_RESULT_WINDOW, Skip, Target

_FILTER = ",".join((
    "*.mappings._meta.rerank",
    "*.settings.index.creation_date",
    "*.settings.index.max_result_window",
    "*.settings.index.search.default_pipeline",
))  # fmt: skip
NO_PIPELINE = "_none"
EXPANSION_PARAMETERS = ("allow_no_indices", "expand_wildcards", "ignore_unavailable")
"""Parameters of a search that decide which indices its expression names."""


class _Meta(msgspec.Struct):
    rerank: Any = None


class _Mappings(msgspec.Struct):
    meta: _Meta = msgspec.field(name="_meta", default_factory=_Meta)


class _Search(msgspec.Struct):
    default_pipeline: str = NO_PIPELINE


class _IndexSettings(msgspec.Struct):
    creation_date: str = "0"
    max_result_window: str = str(MAX_RESULT_WINDOW)
    search: _Search = msgspec.field(default_factory=_Search)


class _Settings(msgspec.Struct):
    index: _IndexSettings = msgspec.field(default_factory=_IndexSettings)


class _Index(msgspec.Struct):
    mappings: _Mappings = msgspec.field(default_factory=_Mappings)
    settings: _Settings = msgspec.field(default_factory=_Settings)


_INDICES = msgspec.json.Decoder(dict[str, _Index])


def settings_target(index_path: str, expansion: dict[str, str]) -> str:
    """Return the target that tells the settings of every index behind `index_path` (raw, no slash)."""
    parameters = urlencode({**expansion, "filter_path": _FILTER})
    return f"/{index_path or '_all'}?{parameters}"


def resolve_target(body: bytes) -> Target:
    """Return what all the indices in a get-index answer say."""
    try:
        indices = _INDICES.decode(body)
        by_age = sorted(indices.values(), key=lambda index: int(index.settings.index.creation_date))
        window = min(int(index.settings.index.max_result_window) for index in by_age) if by_age else 0
    except (msgspec.DecodeError, ValueError):
        return Target(Skip("settings_unreadable"))
    return Target(
        _agreed([index.mappings.meta.rerank for index in by_age]),
        fields={name: _fields(index.mappings.meta.rerank) for name, index in indices.items()},
        pipelines=frozenset(index.settings.index.search.default_pipeline for index in by_age) - {NO_PIPELINE},
        max_result_window=window,
    )


def _agreed(reranks: list[Any]) -> RerankSettings | Skip:
    """Return the settings that hold for indices, the newest last, whose `_meta.rerank` these are.

    All must have settings and agree on models, fields and source fields; in anything else the newest index's
    hold, so that a data stream follows its template.
    """
    if all(rerank is None for rerank in reranks):
        return Skip("not_enabled")
    if any(rerank is None for rerank in reranks):
        return Skip("indices")
    try:
        settings = [parse_settings(rerank) for rerank in reranks]
    except SettingsError:
        return Skip("settings")
    agreed = {(each.model, each.field, each.source_fields, each.migration) for each in settings}
    return settings[-1] if len(agreed) == 1 else Skip("indices")


def _fields(rerank: Any) -> tuple[str, ...]:  # noqa: ANN401  # any JSON value may stand in a mapping
    """Return the vector fields that settings name, right or wrong."""
    if rerank is None:
        return ()
    told = rerank if isinstance(rerank, dict) else {}
    migration = told.get("migration")
    second = migration.get("field") if isinstance(migration, dict) else None
    field = told.get("field", DEFAULT_FIELD)
    first = field if isinstance(field, str) and field else DEFAULT_FIELD
    return (first, second) if isinstance(second, str) and second else (first,)

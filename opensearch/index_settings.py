"""What a search's target indices say about reranking, read from OpenSearch's get-index answer."""

from typing import Any
from urllib.parse import urlencode

import msgspec

from opensearch.search_plan import Skip
from opensearch.settings import RerankSettings, SettingsError, parse_settings

_FILTER = ",".join(
    ("*.mappings._meta.rerank", "*.settings.index.creation_date", "*.settings.index.search.default_pipeline")
)
EXPANSION_PARAMETERS = ("allow_no_indices", "expand_wildcards", "ignore_unavailable")
"""Parameters of a search that decide which indices its expression names."""


class _Meta(msgspec.Struct):
    rerank: Any = None


class _Mappings(msgspec.Struct):
    meta: _Meta = msgspec.field(name="_meta", default_factory=_Meta)


class _Search(msgspec.Struct):
    default_pipeline: str = "_none"


class _IndexSettings(msgspec.Struct):
    creation_date: str = "0"
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


def resolve_settings(body: bytes) -> RerankSettings | Skip:
    """Return the settings that hold for a search over all the indices in a get-index answer.

    All must have settings and agree on model, field and source fields; in anything else the newest index's
    hold, so that a data stream follows its template.
    """
    try:
        indices = sorted(
            _INDICES.decode(body).values(), key=lambda index: int(index.settings.index.creation_date)
        )
    except (msgspec.DecodeError, ValueError):
        return Skip("settings_unreadable")
    if not any(index.mappings.meta.rerank is not None for index in indices):
        return Skip("not_enabled")
    if any(index.mappings.meta.rerank is None for index in indices):
        return Skip("indices")
    if any(index.settings.index.search.default_pipeline != "_none" for index in indices):
        return Skip("search_pipeline")
    try:
        settings = [parse_settings(index.mappings.meta.rerank) for index in indices]
    except SettingsError:
        return Skip("settings")
    agreed = {(each.model, each.field, each.source_fields) for each in settings}
    return settings[-1] if len(agreed) == 1 else Skip("indices")

"""The target of a write: the concrete index behind a name, its settings and its pipelines."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import msgspec

from opensearch.index.kept_source import KeptSource
from opensearch.settings.layers import Defaults, apply_defaults
from opensearch.settings.table import META_KEY, RerankSettings, SettingsError
from opensearch.settings.validation import parse_settings
from opensearch.writes.operation import Operation
from opensearch.writes.routing import ShardCount

_NO_PIPELINE = "_none"
_FILTER = ",".join((
    f"*.mappings._meta.{META_KEY}", "*.mappings._source", "*.aliases", "*.settings.index.creation_date",
    "*.settings.index.default_pipeline", "*.settings.index.final_pipeline",
    "*.settings.index.append_only.enabled", "*.settings.index.number_of_shards",
    "*.settings.index.routing_partition_size",
))  # fmt: skip


@dataclass(frozen=True)
class WriteTarget:
    """The index that a write goes to.

    `index` is what its documents are read from; `exists` is False if the write will create it from a
    template. `routing` is an alias's own. `kept` says what of a document stays in `_source`; an append-only
    index (`index.append_only.enabled`) takes no second write of a document.
    """

    index: str
    settings: RerankSettings
    exists: bool = True
    routing: str | None = None
    default_pipeline: str = _NO_PIPELINE
    final_pipeline: str = _NO_PIPELINE
    kept: KeptSource = field(default_factory=KeptSource)
    is_append_only: bool = False
    shards: ShardCount = field(default_factory=ShardCount)

    def runs_pipeline(self, operation: Operation) -> bool:
        """Return whether an ingest pipeline may see the operation."""
        first = self.default_pipeline if operation.pipeline is None else operation.pipeline
        return {first, self.final_pipeline} != {_NO_PIPELINE}

    def find_routing(self, operation: Operation) -> str | None:
        """Return the routing of the operation's document: its own, or the alias's."""
        return self.routing if operation.routing is None else operation.routing


def is_plain_name(name: str) -> bool:
    """Return whether a write may go to that name at all: no pattern, no list, nothing of OpenSearch's own."""
    return bool(name) and not name.startswith(("_", "-", "+")) and not set(name) & set('*,#\\ "?|:/')


def existing_path(name: str) -> str:
    """Return the path that describes the indices behind a name."""
    return f"/{quote(name, safe='')}?filter_path={_FILTER}"


def template_path(name: str) -> str:
    """Return the path that describes the index that would be created with that name."""
    return f"/_index_template/_simulate_index/{quote(name, safe='')}"


def read_existing_target(body: bytes, name: str, defaults: Defaults) -> WriteTarget | None:
    """Read OpenSearch's response about a name; return None if the index is not enabled for reranking.

    An alias writes to its write index, a data stream to its newest.
    """
    found: dict[str, Any] = msgspec.json.decode(body)
    if not found:
        return None
    marked = [index for index in found if _read_alias(found[index], name).get("is_write_index")]
    newest = max(found, key=lambda index: int(_read_setting(found[index], "creation_date", "0")))
    index = marked[0] if marked else newest
    described = found[index]
    settings = _read_settings(described, defaults)
    if settings is None:
        return None
    return _build_target(index, described, settings, True, _read_alias(described, name).get("index_routing"))


def read_template_target(body: bytes, name: str, defaults: Defaults) -> WriteTarget | None:
    """Read the index that would be created; return None if its template has no rerank settings."""
    described: dict[str, Any] = msgspec.json.decode(body).get("template", {})
    settings = _read_settings(described, defaults)
    if settings is None:
        return None
    return _build_target(name, described, settings, False, None)


def _build_target(
    index: str, described: Mapping[str, Any], settings: RerankSettings, exists: bool, routing: str | None
) -> WriteTarget:
    append_only = described.get("settings", {}).get("index", {}).get("append_only", {})
    return WriteTarget(
        index,
        settings,
        exists,
        routing,
        _read_setting(described, "default_pipeline"),
        _read_setting(described, "final_pipeline"),
        KeptSource.from_mapping(described.get("mappings", {})),
        str(append_only.get("enabled", False)).lower() == "true",
        ShardCount(
            int(_read_setting(described, "number_of_shards", "1")),
            int(_read_setting(described, "routing_partition_size", "1")),
        ),
    )


def _read_settings(described: Mapping[str, Any], defaults: Defaults) -> RerankSettings | None:
    """Return the settings, above a server's defaults, as for searches; None if they are not valid.

    None too if the vectors are the index's own: such documents are written as they come.

    If only the defaults make them invalid, the mapping alone still names the vector field: it must be kept
    free of stale vectors until the defaults are corrected.
    """
    rerank = described.get("mappings", {}).get("_meta", {}).get(META_KEY)
    for layered in (apply_defaults(defaults, rerank), rerank):
        with suppress(SettingsError):  # the vector field cannot be known
            settings = None if rerank is None else parse_settings(layered)
            return None if settings is None or settings.reads_existing else settings
    return None


def _read_alias(described: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    alias: Mapping[str, Any] = described.get("aliases", {}).get(name, {})
    return alias


def _read_setting(described: Mapping[str, Any], name: str, default: str = _NO_PIPELINE) -> str:
    value: str = described.get("settings", {}).get("index", {}).get(name, default)
    return value

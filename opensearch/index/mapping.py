"""The vector field in a mapping: what it must be, and what in a mapping would lose or hide it."""

import re
from collections.abc import Mapping
from typing import Any

from opensearch.client import OpenSearchClient, index_path
from opensearch.errors import MappingError
from opensearch.index.existing_vectors import check_existing_field
from opensearch.index.field_path import walk_to_field
from opensearch.index.kept_source import KeptSource, matches
from opensearch.index.metadata import Index, find_indices
from opensearch.settings.table import DEFAULT_FIELD, META_KEY, RerankSettings

FIELD_NAME = re.compile(r"[^_.*\s][^.*\s]*(\.[^.*\s]+)*")
_ATTEMPTS = 3


def build_vector_field(index: Index) -> dict[str, Any]:
    """Return the mapping of the vector field; derived source can rebuild a binary field only from `store`."""
    field: dict[str, Any] = {"type": "binary", "doc_values": True}
    return field | {"store": True} if index.derived_source else field


def check(index: Index, field: str) -> bool:
    """Return whether the vector field is mapped already.

    Raises:
        MappingError: the mapping would drop the vector, or holds something else under that name.
    """
    if not FIELD_NAME.fullmatch(field):
        raise MappingError(f"expected a field name such as rerank.vector, found {field!r}")
    _check_source(index, field)
    found = _find_mapping(index, index.mapping, field, field)
    if found is None:
        return False
    expected = build_vector_field(index)
    if any(found.get(key, False) != value for key, value in expected.items()):
        raise _foreign_field_error(index, field, found)
    return True


def check_settings(index: Index, settings: RerankSettings) -> bool:
    """Return whether the field of these settings is mapped: Twinrank's own, or one of the index's own.

    Raises:
        MappingError: as `check`, or the index's own vectors cannot be read.
    """
    if not settings.reads_existing:
        return check(index, settings.field)
    check_existing_field(index, settings.field, settings.vectors)
    return True


def is_seen_by_exists(index: Index, name: str) -> bool:
    """Return whether an `exists` query sees every text that documents have in a field."""
    path = walk_to_field(index.mapping, name)
    if not path or any(
        parent.get("type", "object") != "object" or parent.get("enabled") is False for parent in path[:-1]
    ):
        return False
    node = path[-1]
    return node.get("type") == "text" and node.get("index", True) is not False


def is_overwritten(index: Index) -> bool:
    """Return whether the settings are gone though the vector field, by its default name, is still mapped."""
    if META_KEY in index.meta:
        return False
    try:
        found = _find_mapping(index, index.mapping, DEFAULT_FIELD, DEFAULT_FIELD)
    except MappingError:  # another field has that name
        return False
    return found is not None and found.get("type") == "binary"


def write(client: OpenSearchClient, name: str, field: str | None, rerank: Mapping[str, Any]) -> Index:
    """Map the vector field and set `_meta.rerank` on one concrete index, and return the index afterwards.

    Without a `field` nothing is mapped: the vectors are the index's own.

    `PUT _mapping` replaces `_meta` whole. So it is read just before, written with all other keys, and read
    again.

    Raises:
        MappingError: the mapping is refused (see `check`), or is not what was written.
        RequestError: OpenSearch cannot be asked, or refuses.
    """
    for _ in range(_ATTEMPTS):
        index = _read_index(client, name)
        meta = index.meta | {META_KEY: dict(rerank)}
        body: dict[str, Any] = {"_meta": meta}
        if field is not None:
            check(index, field)
            body["properties"] = {field: build_vector_field(index)}
        client.request("PUT", index_path(name, "_mapping"), body)
        after = _read_index(client, name)
        if after.meta == meta and (field is None or check(after, field)):
            return after
    raise MappingError(
        f"{name}: expected the mapping as it was just written, found other values {_ATTEMPTS} times."
        " Somebody else is changing this mapping; try again when they are done"
    )


def _read_index(client: OpenSearchClient, name: str) -> Index:
    found = find_indices(client, name)
    if len(found) != 1:
        raise MappingError(f"{name}: expected one index, found {len(found)}: it changed meanwhile")
    return found[0]


def _check_source(index: Index, field: str) -> None:
    kept = KeptSource.from_mapping(index.mapping)
    if not kept.is_stored:
        raise MappingError(
            f"{index.name}: expected `_source` to be kept, found `_source.enabled: false`: vectors could not"
            " be read, nor kept by partial updates. Make an index that keeps `_source`, and index the"
            " documents again from where they come from: `_reindex` has nothing to read here"
        )
    if kept.keeps(field):
        return
    is_excluded = any(matches(pattern, field) for pattern in kept.excludes)
    what = (
        f"`_source.excludes` {list(kept.excludes)}"
        if is_excluded
        else f"`_source.includes` {list(kept.includes)}"
    )
    raise MappingError(
        f"{index.name}: expected a `_source` that keeps {field}, found {what}: the next partial update"
        f" would destroy the vector. Choose another --vector-field, or make an index that keeps {field} and"
        " index the documents again from where they come from: `_reindex` copies only what `_source` keeps"
    )


def _find_mapping(index: Index, node: Mapping[str, Any], rest: str, field: str) -> Mapping[str, Any] | None:
    """Return the mapping of `field`, None if the name is free; names may hold dots."""
    properties: Mapping[str, Mapping[str, Any]] = node.get("properties", {})
    if rest in properties:
        return properties[rest]
    for key, inner in properties.items():
        if rest.startswith(key + "."):
            if inner.get("type", "object") != "object" or inner.get("enabled") is False:
                raise _foreign_field_error(index, field[: -len(rest) + len(key)], inner)
            return _find_mapping(index, inner, rest[len(key) + 1 :], field)
    return None


def _foreign_field_error(index: Index, name: str, found: Mapping[str, Any]) -> MappingError:
    shown = {key: value for key, value in found.items() if key != "properties"} or {"type": "object"}
    return MappingError(
        f"{index.name}: expected the field {name} to be free or a vector field (`binary` with doc values),"
        f" found {shown}. Choose another name with --vector-field, or reindex into a new index"
    )

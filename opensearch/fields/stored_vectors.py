"""Read stored vectors from OpenSearch: of given documents, of a sample, and how many there are."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from opensearch.client import OpenSearchClient, index_path
from opensearch.index import mapping
from opensearch.index.metadata import Index
from opensearch.settings.table import RerankSettings


@dataclass(frozen=True)
class VectorCounts:
    """How many documents an index has, and how many of them hold a value in the vector field."""

    documents: int
    with_vector: int


def fetch(client: OpenSearchClient, index: str, ids: Sequence[str], field: str) -> dict[str, bytes]:
    """Return the stored vectors of those documents that have one and are searchable.

    They come from doc values, so that no source is parsed: 40 ms for 256 documents, while `_mget` with a
    source filter took 103 (both p50, interleaved on a busy machine).

    Raises:
        RequestError: OpenSearch cannot be asked.
    """
    if not ids:
        return {}
    body = {
        "size": len(ids),
        "query": {"ids": {"values": list(ids)}},
        "_source": False,
        "docvalue_fields": [field],
        "track_total_hits": False,
    }
    answer = client.request("POST", index_path(index, "_search"), body)
    found = {hit["_id"]: hit.get("fields", {}).get(field, []) for hit in answer["hits"]["hits"]}
    packed = {key: decode(values[0]) for key, values in found.items() if len(values) == 1}
    return {key: value for key, value in packed.items() if value is not None}


def fetch_sources(client: OpenSearchClient, index: str, ids: Sequence[str]) -> dict[str, Any]:
    """Return the whole sources of those documents that are there now, searchable or not, as JSON values.

    Raises:
        RequestError: OpenSearch cannot be asked.
    """
    answer = client.request("POST", index_path(index, "_mget"), {"ids": list(ids)})
    return {doc["_id"]: doc["_source"] for doc in answer["docs"] if doc.get("found") and "_source" in doc}


def count(client: OpenSearchClient, index: str, field: str) -> VectorCounts:
    """Count the searchable documents and those with a vector.

    Raises:
        RequestError: OpenSearch cannot be asked.
    """
    path = index_path(index, "_count")
    everything = client.request("GET", path)["count"]
    query = {"query": {"exists": {"field": field}}}
    return VectorCounts(everything, client.request("POST", path, query)["count"])


def count_missing(client: OpenSearchClient, index: Index, settings: RerankSettings) -> int:
    """Count the searchable documents that have a source field and no vector.

    A field that is not indexed, or lies in a nested object, cannot be found by a query. With such a field
    every document without a vector counts.

    Raises:
        RequestError: OpenSearch cannot be asked.
    """
    query = {"query": build_missing_query(index, settings)}
    count: int = client.request("POST", index_path(index.name, "_count"), query)["count"]
    return count


def build_missing_query(index: Index, settings: RerankSettings) -> dict[str, Any]:
    """Return the query that `count_missing` counts by."""
    clauses: dict[str, Any] = {"must_not": {"exists": {"field": settings.field}}}
    if all(mapping.is_seen_by_exists(index, name) for name in settings.source_fields):
        present = [{"exists": {"field": name}} for name in settings.source_fields]
        clauses |= {"should": present, "minimum_should_match": 1}
    return {"bool": clauses}


def sample(client: OpenSearchClient, index: str, settings: RerankSettings, size: int) -> list[dict[str, Any]]:
    """Return the sources, cut to source fields and vector, of up to `size` random documents with a vector.

    Raises:
        RequestError: OpenSearch cannot be asked.
    """
    chosen = {"query": {"exists": {"field": settings.field}}, "random_score": {}}
    body = {
        "size": size,
        "_source": [settings.field, *settings.source_fields],
        "query": {"function_score": chosen},
    }
    answer = client.request("POST", index_path(index, "_search"), body)
    return [hit["_source"] for hit in answer["hits"]["hits"]]


def sample_missing(
    client: OpenSearchClient, index: str, settings: RerankSettings, size: int
) -> list[dict[str, Any]]:
    """Return the sources, cut to the source fields, of up to `size` random documents without a vector.

    Raises:
        RequestError: OpenSearch cannot be asked.
    """
    missing = {"bool": {"must_not": {"exists": {"field": settings.field}}}}
    return _sample_sources(client, index, settings, size, missing)


def sample_all(
    client: OpenSearchClient, index: str, settings: RerankSettings, size: int
) -> list[dict[str, Any]]:
    """Return the sources, cut to the source fields, of up to `size` random documents.

    Raises:
        RequestError: OpenSearch cannot be asked.
    """
    return _sample_sources(client, index, settings, size, {"match_all": {}})


def _sample_sources(
    client: OpenSearchClient, index: str, settings: RerankSettings, size: int, query: dict[str, Any]
) -> list[dict[str, Any]]:
    body = {
        "size": size,
        "_source": list(settings.source_fields),
        "query": {"function_score": {"query": query, "random_score": {}}},
    }
    answer = client.request("POST", index_path(index, "_search"), body)
    return [hit.get("_source", {}) for hit in answer["hits"]["hits"]]


def find_value(source: Any, path: str) -> Any:  # noqa: ANN401  # any JSON value
    """Return the one value at a dotted path, names with dots included; None if there is none or several."""
    found = list(_find_values(source, path))
    return found[0] if len(found) == 1 else None


def _find_values(source: Any, path: str) -> Iterator[Any]:  # noqa: ANN401
    if isinstance(source, dict):
        for key, value in source.items():
            if key == path:
                yield value
            elif path.startswith(f"{key}."):
                yield from _find_values(value, path[len(key) + 1 :])


def decode(value: Any) -> bytes | None:  # noqa: ANN401  # any JSON value
    """Return the bytes of a base64 string, with or without padding; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except ValueError:  # not base64, or not even ASCII
        return None


def encode(packed: bytes) -> str:
    """Return the base64 form that OpenSearch takes in a write: standard alphabet, padded."""
    return base64.b64encode(packed).decode("ascii")

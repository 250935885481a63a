"""Every document of one index at one point in time: source fields and stored vectors."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opensearch.client import OpenSearchClient, index_path
from opensearch.errors import BusyError
from opensearch.index.metadata import Index

PAGE = 500
KEEP_ALIVE = "5m"


@dataclass(frozen=True)
class SnapshotDocument:
    """One document: the members of `_source` that were asked for, and the values in the vector field."""

    id: str
    source: dict[str, Any]
    vectors: list[str]


def read_documents(
    upstream: OpenSearchClient, index: Index, field: str, source_fields: tuple[str, ...]
) -> Iterator[SnapshotDocument]:
    """Yield every searchable document of an index as it was when the first one was asked for.

    Raises:
        BusyError: a shard does not answer.
        RequestError: OpenSearch cannot be asked.
    """
    num_shards = int(index.settings["index.number_of_shards"])
    with _open_point_in_time(upstream, index.name) as pit:
        body: dict[str, Any] = {
            "size": PAGE,
            "pit": {"id": pit, "keep_alive": KEEP_ALIVE},
            "sort": [{"_seq_no": "asc"}],
            "_source": list(source_fields),
            "docvalue_fields": [field],
            "track_total_hits": False,
        }
        for shard in range(num_shards):
            # As many slices as shards make each slice one shard, in which a sequence number is unique.
            # (`_shard_doc` would need none of this, but 2.19 does not know it.)
            slice_ = {"slice": {"id": shard, "max": num_shards}} if num_shards > 1 else {}
            yield from _read_pages(upstream, index.name, field, body | slice_)


def _read_pages(
    upstream: OpenSearchClient, index: str, field: str, body: dict[str, Any]
) -> Iterator[SnapshotDocument]:
    while hits := _read_hits(upstream, index, body):
        for hit in hits:
            yield SnapshotDocument(hit["_id"], hit.get("_source", {}), hit.get("fields", {}).get(field, []))
        body = body | {"search_after": hits[-1]["sort"]}


def _read_hits(upstream: OpenSearchClient, index: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    response = upstream.request("POST", "/_search", body)
    if response["timed_out"] or response["_shards"]["failed"]:
        raise BusyError(f"{index}: {response['_shards']['failed']} shards did not answer; try again")
    hits: list[dict[str, Any]] = response["hits"]["hits"]
    return hits


@contextmanager
def _open_point_in_time(upstream: OpenSearchClient, index: str) -> Iterator[str]:
    path = index_path(index, "_search", "point_in_time")
    params = {"keep_alive": KEEP_ALIVE, "allow_partial_pit_creation": "false"}
    pit: str = upstream.request("POST", path, params=params)["pit_id"]
    try:
        yield pit
    finally:
        upstream.request("DELETE", "/_search/point_in_time", {"pit_id": [pit]})

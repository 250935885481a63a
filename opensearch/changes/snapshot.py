"""Every document of one index at one point in time: its vectors, or what a search asks for."""

from collections.abc import Iterator, Mapping
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
    for hit in read_hits(upstream, index, {"_source": list(source_fields), "docvalue_fields": [field]}):
        yield SnapshotDocument(hit["_id"], hit.get("_source", {}), hit.get("fields", {}).get(field, []))


def read_hits(
    upstream: OpenSearchClient, index: Index, search: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield every hit of a search in an index as it was when the first one was asked for.

    `search` says what is looked for and what of it, such as `query` and `_source`; memory holds a page of
    hits. The order is that of the writes, shard by shard.

    Raises:
        BusyError: a shard does not answer.
        RequestError: OpenSearch cannot be asked.
    """
    num_shards = int(index.settings["index.number_of_shards"])
    with _open_point_in_time(upstream, index.name) as pit:
        body: dict[str, Any] = {
            "size": PAGE,
            **search,
            "pit": {"id": pit, "keep_alive": KEEP_ALIVE},
            "sort": [{"_seq_no": "asc"}],
            "track_total_hits": False,
        }
        for shard in range(num_shards):
            # As many slices as shards make each slice one shard, in which a sequence number is unique.
            # (`_shard_doc` would need none of this, but 2.19 does not know it.)
            slice_ = {"slice": {"id": shard, "max": num_shards}} if num_shards > 1 else {}
            yield from _read_pages(upstream, index.name, body | slice_)


def _read_pages(upstream: OpenSearchClient, index: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    while hits := _read_page(upstream, index, body):
        yield from hits
        body = body | {"search_after": hits[-1]["sort"]}


def _read_page(upstream: OpenSearchClient, index: str, body: dict[str, Any]) -> list[dict[str, Any]]:
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

"""The primary shards of an index: how far their operations are safe, and which history those belong to."""

from dataclasses import dataclass
from typing import Any

from opensearch.client import OpenSearchClient, index_path
from opensearch.errors import BusyError
from opensearch.index.metadata import Index


@dataclass(frozen=True)
class Shard:
    """One primary shard as it was when it was asked.

    Operations with a `_seq_no` up to `global_checkpoint` are on every copy and survive a failover; -1: none.
    `refreshes` counts how often new operations became searchable.
    """

    index: str
    index_uuid: str
    number: int
    global_checkpoint: int
    history_uuid: str
    primary_term: int
    refreshes: int


def read_primary_shards(upstream: OpenSearchClient, index: Index) -> list[Shard]:
    """Return all primary shards of a concrete index, by number.

    Raises:
        BusyError: one of them is not allocated or still recovering.
        RequestError: OpenSearch cannot be asked.
    """
    response = upstream.request(
        "GET", index_path(index.name, "_stats", "refresh"), params={"level": "shards"}
    )
    found = response["indices"].get(index.name, {})
    shards = [
        _read_shard(index.name, found["uuid"], int(number), copy)
        for number, copies in sorted(found.get("shards", {}).items(), key=lambda item: int(item[0]))
        for copy in copies
        if copy["routing"]["primary"] and copy["routing"]["state"] in ("STARTED", "RELOCATING")
    ]
    wanted = int(index.settings["index.number_of_shards"])
    if len(shards) != wanted:
        raise BusyError(
            f"{index.name}: expected {wanted} primary shards, found {len(shards)}: the others are not"
            " allocated or still recovering"
        )
    return shards


def _read_shard(index: str, index_uuid: str, number: int, copy: dict[str, Any]) -> Shard:
    return Shard(
        index=index,
        index_uuid=index_uuid,
        number=number,
        global_checkpoint=copy["seq_no"]["global_checkpoint"],
        history_uuid=copy["commit"]["user_data"]["history_uuid"],
        primary_term=copy["retention_leases"]["primary_term"],
        refreshes=copy["refresh"]["external_total"],
    )

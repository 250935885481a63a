"""How far each shard has been followed, and by whom: one document a shard and field in a hidden index.

A slice of a backfill has a document of its own for each shard.

Every write compares and sets: it names the `_seq_no` that it replaces, so that of two runners one fails.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from opensearch.changes.shards import Shard
from opensearch.client import OpenSearchClient
from opensearch.errors import RefusedError
from opensearch.rawjson.prepared import prepared

CHECKPOINTS_INDEX = ".twinrank-sync"

_BODY = {
    "settings": {"index.hidden": True, "number_of_shards": 1, "auto_expand_replicas": "0-1"},
    "mappings": {"dynamic": False, "properties": {"index": {"type": "keyword"}}},
}


@prepared
class Checkpoint(msgspec.Struct, frozen=True):
    """One shard and vector field: every operation up to `checkpoint` has been checked for `work`.

    `index_uuid` and `history_uuid` say of which life of the shard; `work` names the models, fields and
    texts that were looked for. `as_of_ms`: everything that was written before then (epoch milliseconds) has
    been checked. `owner` works on the shard until `expires_ms`; None: nobody does. `slice` is the slice of a
    backfill, such as 2/4; empty: the whole shard.
    """

    index: str
    field: str
    shard: int
    index_uuid: str
    history_uuid: str
    primary_term: int
    work: str
    checkpoint: int = -1
    as_of_ms: int = 0
    owner: str | None = None
    expires_ms: int = 0
    slice: str = ""


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint as it was read or written, with the sequence number that the next write must name."""

    checkpoint: Checkpoint
    seq_no: int
    primary_term: int


class Checkpoints:
    """The checkpoints in one OpenSearch."""

    def __init__(self, upstream: OpenSearchClient) -> None:
        self._upstream = upstream

    def ensure(self) -> None:
        """Create the index if it is missing.

        Raises:
            RequestError: OpenSearch cannot be asked, or the user may not.
        """
        try:
            self._upstream.request("PUT", f"/{CHECKPOINTS_INDEX}", _BODY)
        except RefusedError as error:
            if "already_exists" not in str(error):
                raise

    def read(self, shards: Sequence[Shard], field: str) -> list[StoredCheckpoint | None]:
        """Return the shards' checkpoints for a field, in order; None for a shard without one.

        Raises:
            RequestError: OpenSearch cannot be asked.
        """
        return self._read([_build_id(shard.index, shard.number, field) for shard in shards])

    def read_slices(self, shard: Shard, field: str, slices: Sequence[str]) -> list[StoredCheckpoint | None]:
        """Return the checkpoints of a shard's slices for a field, in order; None for a slice without one.

        Raises:
            RequestError: OpenSearch cannot be asked.
        """
        return self._read([_build_id(shard.index, shard.number, field, name) for name in slices])

    def _read(self, ids: Sequence[str]) -> list[StoredCheckpoint | None]:
        return [None if doc is None else _read_stored(doc) for doc in read_states(self._upstream, ids)]

    def write(self, checkpoint: Checkpoint, replaced: StoredCheckpoint | None) -> StoredCheckpoint:
        """Write one checkpoint in the place of `replaced`, or as the first one if that is None.

        Raises:
            ConflictError: somebody else has written it since.
            RequestError: OpenSearch cannot be asked.
        """
        document_id = _build_id(checkpoint.index, checkpoint.shard, checkpoint.field, checkpoint.slice)
        version = None if replaced is None else (replaced.seq_no, replaced.primary_term)
        written = write_state(self._upstream, document_id, checkpoint, version)
        return StoredCheckpoint(checkpoint, *written)


def read_states(upstream: OpenSearchClient, ids: Sequence[str]) -> list[dict[str, Any] | None]:
    """Return documents of CHECKPOINTS_INDEX with their version, in order; None for one that is not there.

    Raises:
        RequestError: OpenSearch cannot be asked.
    """
    response = upstream.request("POST", f"/{CHECKPOINTS_INDEX}/_mget", {"ids": list(ids)})
    return [doc if doc.get("found") else None for doc in response["docs"]]


def write_state(
    upstream: OpenSearchClient, document_id: str, state: msgspec.Struct, version: tuple[int, int] | None
) -> tuple[int, int]:
    """Write a document of CHECKPOINTS_INDEX in the place of a version, or as the first one if that is None.

    A version is a document's `_seq_no` and primary term. Returns the new one.

    Raises:
        ConflictError: somebody else has written it since.
        RequestError: OpenSearch cannot be asked.
    """
    condition = (
        {"op_type": "create"}
        if version is None
        else {"if_seq_no": str(version[0]), "if_primary_term": str(version[1])}
    )
    path = f"/{CHECKPOINTS_INDEX}/_doc/{quote(document_id, safe='')}"
    response = upstream.request("PUT", path, msgspec.to_builtins(state), params=condition)
    return response["_seq_no"], response["_primary_term"]


def _read_stored(doc: dict[str, Any]) -> StoredCheckpoint:
    checkpoint = msgspec.convert(doc["_source"], Checkpoint)
    return StoredCheckpoint(checkpoint, doc["_seq_no"], doc["_primary_term"])


def _build_id(index: str, shard: int, field: str, slice_: str = "") -> str:
    return f"{index}/{shard}/{field}" + (f"/{slice_}" if slice_ else "")

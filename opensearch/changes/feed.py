"""The documents of one shard in the order in which they were written: the change feed over `_seq_no`."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from opensearch.changes.shards import Shard
from opensearch.client import OpenSearchClient, index_path
from opensearch.errors import BusyError
from opensearch.rawjson.members import read_members


@dataclass(frozen=True)
class Change:
    """A document as it is now. `source` is its JSON as it was stored, every digit and escape kept."""

    id: str
    routing: str | None
    seq_no: int
    primary_term: int
    version: int
    source: str


class _Hit(msgspec.Struct):
    id: str = msgspec.field(name="_id")
    seq_no: int = msgspec.field(name="_seq_no")
    primary_term: int = msgspec.field(name="_primary_term")
    version: int = msgspec.field(name="_version")
    source: msgspec.Raw = msgspec.field(name="_source")
    routing: str | None = msgspec.field(name="_routing", default=None)

    def as_change(self) -> Change:
        source = bytes(self.source).decode()
        return Change(self.id, self.routing, self.seq_no, self.primary_term, self.version, source)


class _Hits(msgspec.Struct):
    hits: list[_Hit]


class _ShardCounts(msgspec.Struct):
    failed: int


class _Response(msgspec.Struct):
    hits: _Hits
    timed_out: bool
    shards: _ShardCounts = msgspec.field(name="_shards")


_RESPONSE = msgspec.json.Decoder(_Response)


def read_changes(upstream: OpenSearchClient, shard: Shard, after: int, upto: int, size: int) -> list[Change]:
    """Return the first `size` documents of a shard whose last operation lies in (after, upto], oldest first.

    A document that has been written again since, beyond `upto`, is not among them, nor is a deleted one. An
    operation is seen only after a refresh.

    Raises:
        BusyError: the shard did not answer whole.
        RequestError: OpenSearch cannot be asked.
    """
    body = {
        "size": size,
        "query": {"range": {"_seq_no": {"gt": after, "lte": upto}}},
        "sort": [{"_seq_no": "asc"}],
        "seq_no_primary_term": True,
        "version": True,
        "track_total_hits": False,
    }
    path = index_path(shard.index, f"_search?preference=_shards:{shard.number}%7C_primary")
    return _read(upstream.request_text(path + "&allow_partial_search_results=false", body), shard)


def count_changes(upstream: OpenSearchClient, shard: Shard, after: int, upto: int) -> int:
    """Count the documents of a shard whose last operation lies in (after, upto]: those that are searchable.

    Raises:
        RequestError: OpenSearch cannot be asked.
    """
    body = {"query": {"range": {"_seq_no": {"gt": after, "lte": upto}}}}
    params = {"preference": f"_shards:{shard.number}|_primary"}
    count: int = upstream.request("POST", index_path(shard.index, "_count"), body, params=params)["count"]
    return count


def _read(text: str, shard: Shard) -> list[Change]:
    try:
        response = _RESPONSE.decode(text)
    except msgspec.DecodeError:  # a lone surrogate, which OpenSearch stores and msgspec does not read
        return list(_read_slowly(text))
    if response.timed_out or response.shards.failed:
        raise BusyError(f"{shard.index}: shard {shard.number} did not answer whole")
    return [hit.as_change() for hit in response.hits.hits]


def _read_slowly(text: str) -> Iterator[Change]:
    for hit in _split_elements(_find_member(_find_member(text, "hits"), "hits")):
        values = json.loads(hit)
        yield Change(
            values["_id"],
            values.get("_routing"),
            values["_seq_no"],
            values["_primary_term"],
            values["_version"],
            _find_member(hit, "_source"),
        )


def _find_member(text: str, key: str) -> str:
    """Return the text of a member's value; the object must have it."""
    found = next(member for member in read_members(text) if member.key == key)
    return text[found.value_start : found.end]


def _split_elements(text: str) -> Iterator[str]:
    """Yield the texts of the objects in an array that OpenSearch wrote: no space between them."""
    decoder = json.JSONDecoder(parse_int=float)  # as floats numbers cannot hit Python's limit of digits
    position = 1
    while text[position] == "{":
        value: tuple[Any, int] = decoder.raw_decode(text, position)
        yield text[position : value[1]]
        position = value[1] + 1 if text[value[1]] == "," else value[1]

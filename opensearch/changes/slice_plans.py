"""How the operations of a shard are cut into the slices of a backfill: decided once, and kept in OpenSearch.

A slice is a range of `_seq_no`, so it needs no point in time, and can be read again after any stop. A
document has one `_seq_no` at a time, so it is in one slice at most. A write moves it to a number beyond all
slices, so it never appears in another one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import msgspec

from opensearch.changes.checkpoints import read_states, write_state
from opensearch.changes.shards import Shard
from opensearch.client import OpenSearchClient, index_path
from opensearch.errors import BusyError
from opensearch.rawjson.prepared import prepared


@prepared
class SlicePlan(msgspec.Struct, frozen=True):
    """The slices of one shard: slice i of N holds the operations in (bounds[i - 1], bounds[i]].

    `index_uuid`, `history_uuid` and `work` are as in a checkpoint. Everything that was written before
    `as_of_ms` (epoch milliseconds) is at most bounds[N].
    """

    index: str
    field: str
    shard: int
    index_uuid: str
    history_uuid: str
    work: str
    bounds: tuple[int, ...]
    as_of_ms: int

    @property
    def start(self) -> int:
        """The operation before the first one."""
        return self.bounds[0]

    @property
    def end(self) -> int:
        """The last operation."""
        return self.bounds[-1]

    @property
    def count(self) -> int:
        """The number of slices."""
        return len(self.bounds) - 1


@dataclass(frozen=True)
class StoredPlan:
    """A plan as it was read, with the version that the next write must name."""

    plan: SlicePlan
    version: tuple[int, int]


@dataclass(frozen=True)
class CutShard:
    """A range of a shard's operations in parts, and how many documents in it have no vector."""

    bounds: tuple[int, ...]
    missing: int


def read_plan(upstream: OpenSearchClient, shard: Shard, field: str, count: int) -> StoredPlan | None:
    """Return the plan for `count` slices of a shard; None if there is none.

    Raises:
        RequestError: OpenSearch cannot be asked.
    """
    [doc] = read_states(upstream, [_build_id(shard.index, shard.number, field, count)])
    if doc is None:
        return None
    plan = msgspec.convert(doc["_source"], SlicePlan)
    return StoredPlan(plan, (doc["_seq_no"], doc["_primary_term"]))


def write_plan(upstream: OpenSearchClient, plan: SlicePlan, replaced: StoredPlan | None) -> None:
    """Write a plan in the place of `replaced`, or as the first one if that is None.

    Raises:
        ConflictError: somebody else has written it since.
        RequestError: OpenSearch cannot be asked.
    """
    document_id = _build_id(plan.index, plan.shard, plan.field, plan.count)
    write_state(upstream, document_id, plan, None if replaced is None else replaced.version)


def cut(
    upstream: OpenSearchClient, shard: Shard, after: int, missing: dict[str, Any], count: int
) -> CutShard:
    """Cut the operations in (after, the global checkpoint] into `count` parts of about as much work.

    `missing` is a query for documents without a vector: each part has about as many of them. If there are
    none, each part has about as many documents.

    Raises:
        BusyError: the shard did not answer whole.
        RequestError: OpenSearch cannot be asked.
    """
    upto = shard.global_checkpoint
    inner: dict[str, Any] = {}
    if count > 1:
        percents = [100 * number / count for number in range(1, count)]
        inner = {"cut": {"percentiles": {"field": "_seq_no", "percents": percents, "keyed": False}}}
    body = {
        "size": 0,
        "query": {"range": {"_seq_no": {"gt": after, "lte": upto}}},
        "aggs": {"missing": {"filter": missing} | ({"aggs": inner} if inner else {})} | inner,
        "track_total_hits": False,
    }
    answer = _search(upstream, shard, body)["aggregations"]
    found = answer["missing"] if answer["missing"]["doc_count"] else answer
    values = [each["value"] for each in found["cut"]["values"]] if inner else []
    return CutShard(_make_bounds(after, values, upto), answer["missing"]["doc_count"])


def _make_bounds(after: int, values: Sequence[float | None], upto: int) -> tuple[int, ...]:
    """Return growing bounds from `after` to `upto`; `values` are approximate, and None without a document."""
    between = [min(upto, max(after, int(value))) if value is not None else after for value in values]
    return (after, *accumulate(between, max), upto)


def _search(upstream: OpenSearchClient, shard: Shard, body: dict[str, Any]) -> dict[str, Any]:
    path = index_path(shard.index, "_search")
    params = {"preference": f"_shards:{shard.number}|_primary", "allow_partial_search_results": "false"}
    answer: dict[str, Any] = upstream.request("POST", path, body, params=params)
    if answer["timed_out"] or answer["_shards"]["failed"]:
        raise BusyError(f"{shard.index}: shard {shard.number} did not answer whole")
    return answer


def _build_id(index: str, shard: int, field: str, count: int) -> str:
    return f"{index}/{shard}/{field}/{count} slices"

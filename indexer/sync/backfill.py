"""`twinrank backfill`: one slice of an index's first sync, so that several machines can share a shard.

The operations of each shard from sync's checkpoint C to its global checkpoint G are cut into N ranges, once
(`opensearch.changes.slice_plans`). A slice is one range of each shard, and is checked by the same pass as
sync's, with a lease and a checkpoint of its own. When all slices of a shard are done, sync's checkpoint
becomes G.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from indexer.sync.blocked_indices import BlockedIndices
from indexer.sync.followed import Followed, Policies, find_followed
from indexer.sync.lag import Key
from indexer.sync.lease import LeaseLostError, Leases, Work, is_valid
from indexer.sync.leased_pass import pass_over
from indexer.sync.missing import MissingCount
from indexer.sync.refresh import Refresher
from indexer.sync.shard_pass import Run, StoppedError
from opensearch.changes.checkpoints import CHECKPOINTS_INDEX, StoredCheckpoint
from opensearch.changes.feed import count_changes
from opensearch.changes.shards import Shard, read_primary_shards
from opensearch.changes.slice_plans import SlicePlan, cut, read_plan, write_plan
from opensearch.errors import BlockedError, ConflictError, DeniedError
from opensearch.fields.stored_vectors import build_missing_query
from opensearch.retry import retry

POLL_S = 1.0
PLAN_TRIES = 10

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Slice:
    """One of `count` slices; `number` begins with 1."""

    number: int
    count: int

    def __str__(self) -> str:
        """Return its usual form: 2/4."""
        return f"{self.number}/{self.count}"


@dataclass(frozen=True)
class ShardSlice:
    """One shard's part of the slice; the shard ends where the part does."""

    followed: Followed
    shard: Shard
    plan: SlicePlan
    work: Work

    @property
    def key(self) -> Key:
        """The key of its shard."""
        return self.shard.index_uuid, self.shard.number

    @property
    def end(self) -> int:
        """The last operation."""
        return self.shard.global_checkpoint

    def find_position(self, found: StoredCheckpoint | None) -> int:
        """Return the operation up to which the part is done, as its checkpoint says."""
        is_kept = found is not None and is_valid(found.checkpoint, self.shard, self.work)
        return found.checkpoint.checkpoint if found is not None and is_kept else self.work.start


@dataclass
class Backfill:
    """One slice of everything behind a name.

    Attributes:
        run: what all passes share: OpenSearch, counts, bounds.
        leases: this runner's.
        name: an index, alias, pattern or data stream.
        slice: the slice.
        policies: of each index.
    """

    run: Run
    leases: Leases
    name: str
    slice: Slice
    policies: Policies

    def __post_init__(self) -> None:
        self._refresher = Refresher(self.run)
        self._missing = MissingCount(self.run)
        self._blocked = BlockedIndices(self.run)
        self._followed: list[Followed] = []
        self._waited_for: set[Key] = set()

    def run_slice(self) -> None:
        """Check every document of the slice; return when that is done, by any runner.

        The summary reports each index that must be written to and cannot be.

        Raises:
            StoppedError: the run was asked to end.
            IndexMissingError: there is no such index, or none has settings.
            RequestError: OpenSearch cannot be asked.
        """
        find = partial(find_followed, self.run.upstream, self.name, self.policies)
        self._followed = self._retry(find)
        parts = [part for followed in self._followed for part in self._plan(followed)]
        self._look_first(parts)
        self._note_slices(parts)
        left = parts
        while left := [part for part in left if not self._visit(part)]:
            if self.run.stop.wait(POLL_S):
                raise StoppedError
        for part in parts:
            self._settle(part.followed, part.shard, part.plan)
        self._note_slices(parts)
        self._missing.count_at_end(self._readable())

    def _plan(self, followed: Followed) -> list[ShardSlice]:
        """Return the slice's parts of an index; none if the index is closed."""
        self._blocked.begin(followed)
        if not followed.is_readable:
            return []
        as_of_ms = int(time.time() * 1000)
        shards = self._retry(partial(read_primary_shards, self.run.upstream, followed.index))
        plans = [self._agree(followed, shard, as_of_ms) for shard in shards]
        return [
            self._make_part(followed, shard, plan, self.slice.number)
            for shard, plan in zip(shards, plans, strict=True)
        ]

    def _agree(self, followed: Followed, shard: Shard, as_of_ms: int) -> SlicePlan:
        """Return the plan that all runners follow.

        That is the stored one. If all its slices are done and documents without a vector have been written
        since, or if it is about another life of the shard or other work, a new one takes its place.

        Raises:
            DeniedError: there is a plan, and this user may not read it.
        """
        field, count = followed.work.field, self.slice.count
        for _ in range(PLAN_TRIES):
            stored = self._retry(partial(read_plan, self.run.upstream, shard, field, count))
            kept = (
                stored.plan if stored is not None and _is_about(stored.plan, shard, followed.work) else None
            )
            if kept is not None:
                if not self._is_done(followed, shard, kept):
                    return kept
                self._settle(followed, shard, kept)
            shard = self._refresher.refresh(followed.index, shard)
            start = self._find_start(followed, shard, kept)
            query = build_missing_query(followed.index, followed.filled_settings)
            found = self._retry(partial(cut, self.run.upstream, shard, start, query, count))
            if kept is not None and not found.missing:
                return kept
            plan = _make_plan(shard, followed.work, found.bounds, as_of_ms)
            with suppress(ConflictError):  # another runner was faster, and its plan counts
                self._retry(partial(write_plan, self.run.upstream, plan, stored))
                return plan
        raise DeniedError(
            f"{shard.index}: expected to read what other runners write to {CHECKPOINTS_INDEX}, found nothing."
            f" Grant indices:data/read/mget* on it"
        )

    def _find_start(self, followed: Followed, shard: Shard, done: SlicePlan | None) -> int:
        """Return the last operation that sync or a former plan has checked; -1: none."""
        position = self._read_sync_position(followed, shard)[0]
        if done is not None:
            position = max(position, done.end)
        return position if position <= shard.global_checkpoint else -1

    def _read_sync_position(self, followed: Followed, shard: Shard) -> tuple[int, StoredCheckpoint | None]:
        [found] = self._retry(partial(self.leases.checkpoints.read, [shard], followed.work.field))
        is_kept = found is not None and is_valid(found.checkpoint, shard, followed.work)
        return found.checkpoint.checkpoint if found is not None and is_kept else -1, found

    def _make_part(self, followed: Followed, shard: Shard, plan: SlicePlan, number: int) -> ShardSlice:
        start, end = plan.bounds[number - 1], plan.bounds[number]
        name = json.dumps([followed.work.name, start, end])
        work = Work(followed.work.field, name, str(Slice(number, plan.count)), start)
        return ShardSlice(followed, replace(shard, global_checkpoint=end), plan, work)

    def _are_done(self, followed: Followed, shard: Shard, plan: SlicePlan) -> list[bool]:
        """Return for each slice of a plan whether its part of the shard is done."""
        parts = [self._make_part(followed, shard, plan, number) for number in range(1, plan.count + 1)]
        names = [part.work.slice for part in parts]
        found = self._retry(partial(self.leases.checkpoints.read_slices, shard, followed.work.field, names))
        return [part.find_position(one) >= part.end for part, one in zip(parts, found, strict=True)]

    def _is_done(self, followed: Followed, shard: Shard, plan: SlicePlan) -> bool:
        return all(self._are_done(followed, shard, plan))

    def _look_first(self, parts: list[ShardSlice]) -> None:
        """Count what is to be done, before the first pass."""
        summary = self.run.summary
        summary.documents = 0
        for part in parts:
            position = part.find_position(self._read_own(part))
            ask = partial(count_changes, self.run.upstream, part.shard, position, part.end)
            summary.documents += self._retry(ask)
            summary.pending += max(0, part.end - position)
        self._missing.count_now_and_then(self._readable())
        self.run.progress(summary)

    def _read_own(self, part: ShardSlice) -> StoredCheckpoint | None:
        read = partial(self.leases.checkpoints.read_slices, part.shard, part.work.field, [part.work.slice])
        return self._retry(read)[0]

    def _visit(self, part: ShardSlice) -> bool:
        """Pass over one shard's part if no other runner does; return whether it is done."""
        found = self._read_own(part)
        if part.find_position(found) >= part.end or part.key in self._blocked:
            return True
        lease = self.leases.take(part.shard, part.work, found)
        if lease is None:
            if part.key not in self._waited_for:
                self._waited_for.add(part.key)
                self.run.waiting(
                    f"{part.shard.index}/{part.shard.number}: another runner has slice {self.slice}"
                )
            return False
        as_of_ms, moved = part.plan.as_of_ms, self._record_progress
        try:
            pass_over(self.run, self._refresher, part.followed, part.shard, lease, as_of_ms, moved, part.end)
        except BlockedError as error:
            self._blocked.note_shard(part.followed, part.key, part.end, error)
        return lease.checkpoint >= part.end or part.key in self._blocked

    def _settle(self, followed: Followed, shard: Shard, plan: SlicePlan) -> None:
        """Move sync's checkpoint to the end of a plan whose slices are all done.

        If a sync has the shard now, it is left to that: it finds everything current.
        """
        position, found = self._read_sync_position(followed, shard)
        if not plan.start <= position < plan.end or not self._is_done(followed, shard, plan):
            return
        lease = self.leases.take(shard, followed.work, found)
        if lease is not None:
            with suppress(LeaseLostError):
                lease.advance(plan.end, plan.as_of_ms)
                lease.release()

    def _note_slices(self, parts: list[ShardSlice]) -> None:
        """Note how many slices are done in every shard."""
        done = [self._are_done(part.followed, part.shard, part.plan) for part in parts]
        self.run.summary.slice = str(self.slice)
        self.run.summary.slices_done = sum(all(one) for one in zip(*done, strict=True))

    def _record_progress(self, _position: int) -> None:
        self._missing.count_now_and_then(self._readable())

    def _readable(self) -> list[Followed]:
        return [one for one in self._followed if one.is_readable]

    def _retry(self, ask: Callable[[], Answer]) -> Answer:
        return retry(ask, self.run.retry_policy, self.run.waiting)


def _is_about(plan: SlicePlan, shard: Shard, work: Work) -> bool:
    """Return whether a plan is about this life of the shard and this work."""
    return (plan.index_uuid, plan.history_uuid, plan.work) == (
        shard.index_uuid,
        shard.history_uuid,
        work.name,
    )


def _make_plan(shard: Shard, work: Work, bounds: tuple[int, ...], as_of_ms: int) -> SlicePlan:
    return SlicePlan(
        shard.index,
        work.field,
        shard.number,
        shard.index_uuid,
        shard.history_uuid,
        work.name,
        bounds,
        as_of_ms,
    )

"""`twinrank sync`: every document of an index gets a current vector or none, however it was written.

For each shard, its global checkpoint G is read, then the index is refreshed. Everything between the stored
checkpoint C and G is checked (`shard_pass.Pass`), then C = G. A backfill is the same from C = -1.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from indexer.sync.blocked_indices import BlockedIndices
from indexer.sync.followed import Followed, Policies, find_followed
from indexer.sync.lag import Key, Lags
from indexer.sync.lease import Lease, Leases, is_valid
from indexer.sync.leased_pass import pass_over
from indexer.sync.missing import MissingCount
from indexer.sync.refresh import Refresher
from indexer.sync.shard_pass import Run, StoppedError
from opensearch.changes.checkpoints import StoredCheckpoint
from opensearch.changes.shards import Shard, read_primary_shards
from opensearch.errors import (
    BlockedError,
    BusyError,
    RefusedError,
    UnreachableError,
)
from opensearch.index.metadata import Index
from opensearch.retry import Retries, retry

POLL_S = 1.0
FAILOVER_S = 60.0
"""How long to wait after a failover, since the new primary may know a smaller global checkpoint at first."""

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class SyncScope:
    """What is followed: an index, alias, pattern or data stream; of each index only `shards`, None: all."""

    name: str
    shards: frozenset[int] | None = None
    from_scratch: bool = False


@dataclass
class Sync:
    """Follows one name.

    Attributes:
        run: what all passes share: OpenSearch, counts, bounds.
        leases: this runner's.
        wanted: what is followed.
        policies: of each index.
    """

    run: Run
    leases: Leases
    wanted: SyncScope
    policies: Policies
    _indices: list[Followed] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._refresher = Refresher(self.run)
        self._begun: set[Key] = set()
        self._ahead_since: dict[Key, float] = {}
        self._caught_up_ms: dict[Key, int] = {}
        self._lags = Lags()
        self._missing = MissingCount(self.run)
        self._blocked = BlockedIndices(self.run)

    def run_once(self) -> None:
        """Check everything that was written before now; return when it is done, by any runner.

        The summary reports each index that must be written to and cannot be.

        Raises:
            StoppedError: the run was asked to end.
            IndexMissingError: there is no such index, or none has settings.
            RequestError: OpenSearch cannot be asked.
        """
        self._resolve()
        goals: dict[Key, int] = {}
        while not self._round(goals):
            self._sleep()
        self._missing.count_at_end(self._readable())

    def follow(self) -> None:
        """Go on until asked to stop, also while OpenSearch is away.

        Raises:
            StoppedError: the run was asked to end.
            BusyError: OpenSearch answered nothing but refusals for the policy's time; one alone may
                be a node that is going down, or a block that is lifted again.
            BlockedError: no index that is followed can ever be written to.
            MappingError, SettingsError: the index can no longer be followed.
        """
        refusals = Retries(self.run.retry_policy, self.run.waiting)
        while True:
            try:
                self._resolve()
                self._round({})
                self._blocked.check(self._indices)
            except (BusyError, UnreachableError) as error:
                self.run.waiting(str(error))
                self._lose_sight()
            except RefusedError as error:
                self._lose_sight()
                if isinstance(error, BlockedError) and not self._may_unblock():
                    raise
                refusals.wait_after(BusyError(str(error)))
            else:
                refusals.record_success()
            self._sleep()

    def _sleep(self) -> None:
        if self.run.stop.wait(POLL_S):
            raise StoppedError

    def _resolve(self) -> None:
        """Look up the indices: a data stream may have rolled over, settings may have changed."""
        self._indices = self._retry(
            lambda: find_followed(self.run.upstream, self.wanted.name, self.policies, self._indices)
        )

    def _round(self, goals: dict[Key, int]) -> bool:
        """Pass over every shard that is free and has something new; return whether all goals are reached."""
        if self.run.summary.lag is None:
            self._look_first()
        seen: set[Key] = set()
        # a list, since every shard must be visited; in any order, so that runners seldom ask for the same one
        reached = [self._visit_shards(followed, goals, seen) for followed in self._indices]
        self._lags.end_round(seen)
        self._report()
        return all(reached)

    def _look_first(self) -> None:
        """Note how far all shards are before the first pass, which may take hours."""
        for followed in self._indices:
            as_of_ms = int(time.time() * 1000)
            for shard, stored in self._look_up(followed):
                position = self._find_position(followed, shard, stored)
                self._note_lag(followed.index, shard, stored, position, as_of_ms)
        self._report()

    def _look_up(self, followed: Followed) -> list[tuple[Shard, StoredCheckpoint | None]]:
        """Return the shards of an index with their checkpoints; none if the index is closed."""
        self._blocked.begin(followed)
        if not followed.is_readable:
            return []
        shards = self._retry(lambda: self._find_shards(followed.index))
        found = self._retry(lambda: self.leases.checkpoints.read(shards, followed.work.field))
        return list(zip(shards, found, strict=True))

    def _visit_shards(self, followed: Followed, goals: dict[Key, int], seen: set[Key]) -> bool:
        as_of_ms = int(time.time() * 1000)
        is_done = True
        shards = self._look_up(followed)
        for shard, stored in random.sample(shards, len(shards)):
            key = _key(shard)
            goal = goals.setdefault(key, shard.global_checkpoint)
            position = self._find_position(followed, shard, stored)
            if position < shard.global_checkpoint:  # shown while the pass goes on
                self._note_lag(followed.index, shard, stored, position, as_of_ms)
            position = self._visit(followed, shard, stored, as_of_ms)
            self._note_lag(followed.index, shard, stored, position, as_of_ms)
            seen.add(key)
            is_done &= position >= goal or key in self._blocked
        return is_done

    def _show_lag(self) -> None:
        lag = self._lags.total
        self.run.summary.lag, self.run.summary.pending = lag, 0 if lag is None else lag.operations

    def _report(self) -> None:
        self._show_lag()
        self._missing.count_now_and_then(self._readable())
        self.run.progress(self.run.summary)

    def _lose_sight(self) -> None:
        """Show that OpenSearch cannot be asked what is written meanwhile."""
        self._lags.lose_sight()
        self._show_lag()
        self.run.progress(self.run.summary)

    def _readable(self) -> list[Followed]:
        """Return the indices whose documents without a vector can be counted."""
        return [one for one in self._indices if one.is_readable]

    def _may_unblock(self) -> bool:
        return any(one.obstacle is None or one.obstacle.may_end for one in self._indices)

    def _find_shards(self, index: Index) -> list[Shard]:
        shards = read_primary_shards(self.run.upstream, index)
        return [one for one in shards if self.wanted.shards is None or one.number in self.wanted.shards]

    def _visit(self, followed: Followed, shard: Shard, stored: StoredCheckpoint | None, as_of_ms: int) -> int:
        """Pass over one shard if it needs it and no other runner does; return how far it is done."""
        key = _key(shard)
        from_scratch = self.wanted.from_scratch and key not in self._begun
        position = self._find_position(followed, shard, stored)
        if position <= shard.global_checkpoint:
            self._ahead_since.pop(key, None)
        elif not self._is_lost(key):
            return -1
        else:
            from_scratch, position = True, -1
        is_waiting = self._blocked.is_unchanged(followed, key, shard.global_checkpoint)
        if position == shard.global_checkpoint or is_waiting:
            return position
        lease = self.leases.take(shard, followed.work, stored, from_scratch=from_scratch)
        if lease is None:
            return position
        if stored is not None and not self.wanted.from_scratch and position < stored.checkpoint.checkpoint:
            self.run.summary.started_over.append(f"{shard.index}/{shard.number}")
        self._begun.add(key)
        self._pass(followed, shard, lease, as_of_ms)
        return lease.checkpoint

    def _find_position(self, followed: Followed, shard: Shard, stored: StoredCheckpoint | None) -> int:
        """Return how far a shard is done, as its checkpoint says."""
        if self.wanted.from_scratch and _key(shard) not in self._begun:
            return -1
        is_ours = stored is not None and is_valid(stored.checkpoint, shard, followed.work)
        return stored.checkpoint.checkpoint if stored is not None and is_ours else -1

    def _pass(self, followed: Followed, shard: Shard, lease: Lease, as_of_ms: int) -> None:
        moved = partial(self._record_progress, _key(shard))
        try:
            pass_over(self.run, self._refresher, followed, shard, lease, as_of_ms, moved)
        except BlockedError as error:
            self._blocked.note_shard(followed, _key(shard), shard.global_checkpoint, error)

    def _record_progress(self, key: Key, position: int) -> None:
        self._lags.move(key, position)
        self._show_lag()
        self._missing.count_now_and_then(self._readable())

    def _is_lost(self, key: Key) -> bool:
        """Whether operations are gone that were there before; after a failover that may be temporary."""
        return time.monotonic() - self._ahead_since.setdefault(key, time.monotonic()) > FAILOVER_S

    def _note_lag(
        self, index: Index, shard: Shard, stored: StoredCheckpoint | None, position: int, as_of_ms: int
    ) -> None:
        key = _key(shard)
        if position >= shard.global_checkpoint:
            self._caught_up_ms[key] = as_of_ms
        stored_ms = stored.checkpoint.as_of_ms if stored and position >= 0 else 0
        since_ms = max(stored_ms, self._caught_up_ms.get(key, 0)) or int(
            index.settings["index.creation_date"]
        )
        self._lags.note(key, position, shard.global_checkpoint, since_ms)

    def _retry(self, ask: Callable[[], Answer]) -> Answer:
        return retry(ask, self.run.retry_policy, self.run.waiting)


def _key(shard: Shard) -> Key:
    return shard.index_uuid, shard.number

"""`twinrank sync`: every document of an index gets a current vector or none, whoever wrote it and how.

For each shard: its global checkpoint G is read, then the index is refreshed, then everything between the
stored checkpoint C and G is looked at (`feed.Pass`), then C = G. A backfill is the same from C = -1.
"""

import json
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from indexer.enrich import chunking_of
from indexer.feed import Pass, Run, StoppedError
from indexer.fills import Fill
from indexer.lease import Lease, LeaseLostError, Leases, Work, is_valid
from indexer.refreshing import Refresher
from indexer.repair import Repairs
from indexer.sync_summary import Lag
from opensearch import indices
from opensearch.checkpoints import Stored
from opensearch.durations import seconds
from opensearch.errors import BusyError, IndexMissingError, RefusedError, RequestError, UnreachableError
from opensearch.indices import Index
from opensearch.patience import Persistence
from opensearch.settings import META_KEY, RerankSettings
from opensearch.shards import Shard, primary_shards

POLL_S = 1.0
FAILOVER_S = 60.0
"""After a failover the new primary may know a smaller global checkpoint for a moment: so long we wait."""

Key = tuple[str, int]
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Wanted:
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
        fills: says what sees to the fields of an index, the main one first. Raises where the model at hand is
            not the index's.
    """

    run: Run
    leases: Leases
    wanted: Wanted
    fills: Callable[[Index], Sequence[Fill]]
    _indices: list["_Followed"] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._refresher = Refresher(self.run)
        self._begun: set[Key] = set()
        self._ahead_since: dict[Key, float] = {}
        self._caught_up_ms: dict[Key, int] = {}
        self._lags: list[Lag] = []
        self._pending: dict[Key, int] = {}

    def once(self) -> None:
        """Look at everything that was written before now; return when it is done, by us or by others.

        Raises:
            StoppedError: the run was asked to end.
            IndexMissingError: there is no such index, or none has settings.
            RequestError: OpenSearch cannot be asked.
        """
        self._resolve()
        goals: dict[Key, int] = {}
        while not self._round(goals):
            self._sleep()

    def follow(self) -> None:
        """Go on until asked to stop, also while OpenSearch is away.

        Raises:
            StoppedError: the run was asked to end.
            BusyError: OpenSearch answered nothing but refusals while the patience lasted; one alone may
                be a node that is going down, or a block that is lifted again.
            MappingError, SettingsError: the index can no longer be followed.
        """
        refusals = Persistence(self.run.patience, self.run.waiting)
        while True:
            try:
                self._resolve()
                self._round({})
            except (BusyError, UnreachableError) as error:
                self.run.waiting(str(error))
            except RefusedError as error:
                refusals.failed(BusyError(str(error)))
            else:
                refusals.succeeded()
            self._sleep()

    def _sleep(self) -> None:
        if self.run.stop.wait(POLL_S):
            raise StoppedError

    def _resolve(self) -> None:
        """Look up the indices: a data stream may have rolled over, settings may have changed."""
        found = self._insist(lambda: indices.find(self.run.upstream, self.wanted.name))
        enabled = [index for index in found if META_KEY in index.meta]
        if not enabled:
            raise IndexMissingError(
                f"expected an index {self.wanted.name} with settings, found"
                f" {len(found)} without. Write them with: twinrank enable {self.wanted.name} --field FIELD"
            )
        known = {(each.index.name, each.work): each for each in self._indices}
        self._indices = [self._followed(index, known) for index in enabled]

    def _followed(self, index: Index, known: dict[tuple[str, Work], "_Followed"]) -> "_Followed":
        settings = index.rerank_settings()
        fills = self.fills(index)
        work = work_of(settings, fills)
        kept = known.get((index.name, work))
        repairs = kept.repairs if kept else Repairs(index, settings, fills)
        return _Followed(index, settings, repairs, work)

    def _round(self, goals: dict[Key, int]) -> bool:
        """Pass over every shard that is free and has something new; return whether all goals are reached."""
        self._lags = []
        if not self._pending:
            for followed in self._indices:
                self._expect(followed)
        # a list, since every shard must be visited; in any order, so that runners seldom ask for the same one
        reached = [self._round_of(followed, goals) for followed in self._indices]
        self.run.summary.lag = Lag(
            sum(lag.operations for lag in self._lags), max((lag.seconds for lag in self._lags), default=0.0)
        )
        self.run.progress(self.run.summary)
        return all(reached)

    def _round_of(self, followed: "_Followed", goals: dict[Key, int]) -> bool:
        as_of_ms = int(time.time() * 1000)
        shards = self._insist(lambda: self._shards(followed.index))
        found = self._insist(lambda: self.leases.checkpoints.read(shards, followed.work.field))
        is_done = True
        for shard, stored in random.sample(list(zip(shards, found, strict=True)), len(shards)):
            goal = goals.setdefault(_key(shard), shard.global_checkpoint)
            position = self._visit(followed, shard, stored, as_of_ms)
            self._expect_of(shard, position)
            self._lags.append(self._lag(followed.index, shard, stored, position, as_of_ms))
            is_done &= position >= goal
        return is_done

    def _expect(self, followed: "_Followed") -> None:
        """Note how many operations of each shard are still to be looked at, before the first one is."""
        shards = self._insist(lambda: self._shards(followed.index))
        found = self._insist(lambda: self.leases.checkpoints.read(shards, followed.work.field))
        for shard, stored in zip(shards, found, strict=True):
            self._expect_of(shard, self._position(followed, shard, stored))

    def _expect_of(self, shard: Shard, position: int) -> None:
        self._pending[_key(shard)] = max(0, shard.global_checkpoint - position)
        self.run.summary.pending = sum(self._pending.values())

    def _position(self, followed: "_Followed", shard: Shard, stored: Stored | None) -> int:
        """Return how far a shard was looked at; -1 where it has to be looked at from its beginning."""
        from_scratch = self.wanted.from_scratch and _key(shard) not in self._begun
        if stored is None or from_scratch or not is_valid(stored.checkpoint, shard, followed.work):
            return -1
        return stored.checkpoint.checkpoint

    def _shards(self, index: Index) -> list[Shard]:
        shards = primary_shards(self.run.upstream, index)
        return [one for one in shards if self.wanted.shards is None or one.number in self.wanted.shards]

    def _visit(self, followed: "_Followed", shard: Shard, stored: Stored | None, as_of_ms: int) -> int:
        """Pass over one shard where there is need and nobody else does; return how far it is done."""
        key = _key(shard)
        from_scratch = self.wanted.from_scratch and key not in self._begun
        position = self._position(followed, shard, stored)
        if position <= shard.global_checkpoint:
            self._ahead_since.pop(key, None)
        elif not self._is_lost(key):
            return -1
        else:
            from_scratch, position = True, -1
        if position == shard.global_checkpoint:
            return position
        lease = self.leases.take(shard, followed.work, stored, from_scratch=from_scratch)
        if lease is None:
            return position
        if stored is not None and not self.wanted.from_scratch and position < stored.checkpoint.checkpoint:
            self.run.summary.started_over.append(f"{shard.index}/{shard.number}")
        self._begun.add(key)
        self._pass(followed, shard, lease, as_of_ms)
        return lease.checkpoint

    def _pass(self, followed: "_Followed", shard: Shard, lease: Lease, as_of_ms: int) -> None:
        try:
            shard = self._refresher.refresh(followed.index, shard)
            if shard.global_checkpoint > lease.checkpoint:
                Pass(self.run, shard, lease, followed.repairs, followed.fresh_s).run(as_of_ms)
        except LeaseLostError as error:
            self.run.waiting(str(error))
            return
        except (StoppedError, RequestError):
            with suppress(RequestError, LeaseLostError):
                lease.release()
            raise
        lease.release()

    def _is_lost(self, key: Key) -> bool:
        """Whether operations that we have seen are gone; after a failover it may seem so for a moment."""
        return time.monotonic() - self._ahead_since.setdefault(key, time.monotonic()) > FAILOVER_S

    def _lag(self, index: Index, shard: Shard, stored: Stored | None, position: int, as_of_ms: int) -> Lag:
        key = _key(shard)
        if position >= shard.global_checkpoint:
            self._caught_up_ms[key] = as_of_ms
            return Lag()
        stored_ms = stored.checkpoint.as_of_ms if stored and position >= 0 else 0
        since_ms = max(stored_ms, self._caught_up_ms.get(key, 0)) or int(
            index.settings["index.creation_date"]
        )
        return Lag(shard.global_checkpoint - position, max(0.0, time.time() - since_ms / 1000))

    def _insist(self, ask: Callable[[], Answer]) -> Answer:
        return Persistence(self.run.patience, self.run.waiting).insist(ask)


@dataclass(frozen=True)
class _Followed:
    """One index with what is done for it; `work` says what that is."""

    index: Index
    settings: RerankSettings
    repairs: Repairs
    work: Work

    @property
    def fresh_s(self) -> float | None:
        """How long what was read may be written without a lock: half of the time that deletions are known."""
        if self.settings.versioning == "internal":
            return None
        return seconds(self.index.settings.get("index.gc_deletes", "60s")) / 2


def work_of(settings: RerankSettings, fills: Sequence[Fill]) -> Work:
    """Return what a pass looks for: which models' vectors in which fields, of which texts."""
    chunk = chunking_of(settings)
    seen_to = [f"{fill.field}:{fill.name}" for fill in fills]
    cut = [chunk.max_tokens, chunk.overlap, chunk.max_chunks]
    return Work(fills[0].field, json.dumps([seen_to, list(settings.source_fields), cut]))


def _key(shard: Shard) -> Key:
    return shard.index_uuid, shard.number

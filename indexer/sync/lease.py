"""Who works on which shard: leases on the checkpoints, so that runners share shards without double work.

A lease is a convenience, never a lock: each write to a document names the version that it replaces. If clocks
are far apart, two runners may get one shard; they do the work twice, and no harm.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from opensearch.changes.checkpoints import Checkpoint, Checkpoints, StoredCheckpoint
from opensearch.changes.shards import Shard
from opensearch.errors import ConflictError
from opensearch.retry import RetryPolicy, retry

LEASE_S = 30.0

Write = Callable[[Checkpoint, StoredCheckpoint | None], StoredCheckpoint]


@dataclass(frozen=True)
class Work:
    """What is done to a shard: for which field, and a name that changes if it must be done again.

    `slice` is the slice of a backfill, such as 2/4, whose first operation is the one after `start`; empty:
    the whole shard.
    """

    field: str
    name: str
    slice: str = ""
    start: int = -1


class LeaseLostError(Exception):
    """Another runner has taken the shard, and does what is not yet marked as done."""


@dataclass
class Lease:
    """This runner's hold on one shard until it expires; each step renews it."""

    leases: "Leases"
    stored: StoredCheckpoint

    @property
    def checkpoint(self) -> int:
        """The `_seq_no` up to which everything has been checked; -1: nothing."""
        return self.stored.checkpoint.checkpoint

    def advance(self, checkpoint: int, as_of_ms: int | None = None) -> None:
        """Note that everything up to `checkpoint` is done, and keep the shard.

        Raises:
            LeaseLostError: another runner has the shard now.
            RequestError: OpenSearch cannot be asked.
        """
        changes: dict[str, Any] = {"checkpoint": checkpoint, "expires_ms": self.leases.expires_ms()}
        if as_of_ms is not None:
            changes["as_of_ms"] = as_of_ms
        self._write(self.leases.write, **changes)

    def release(self) -> None:
        """Let the shard go.

        Raises:
            LeaseLostError: another runner has the shard now.
            RequestError: OpenSearch cannot be asked; it is asked once, since the lease expires by itself.
        """
        self._write(self.leases.checkpoints.write, owner=None, expires_ms=0)

    def _write(self, write: Write, **changes: Any) -> None:  # noqa: ANN401  # members of a checkpoint
        changed = msgspec.structs.replace(self.stored.checkpoint, **changes)
        try:
            self.stored = write(changed, self.stored)
        except ConflictError as error:
            shard = self.stored.checkpoint
            raise LeaseLostError(f"{shard.index}/{shard.shard}: taken by another runner") from error


@dataclass
class Leases:
    """The leases of one runner.

    Attributes:
        checkpoints: where the leases are stored.
        owner: the runner's name, which no other has.
        lease_s: how long a lease lasts without a step.
        retry_policy: how long to go on when OpenSearch is busy or away.
        waiting: called with the reason before each wait.
    """

    checkpoints: Checkpoints
    owner: str
    lease_s: float = LEASE_S
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    waiting: Callable[[str], None] = lambda reason: None

    def __post_init__(self) -> None:
        self._unchanged: dict[tuple[str, int, str, str], tuple[int, float]] = {}

    def take(
        self, shard: Shard, work: Work, found: StoredCheckpoint | None, *, from_scratch: bool = False
    ) -> Lease | None:
        """Take a shard as it was found; return None if another runner has it.

        The checkpoint starts over if the one that was found belongs to another life of the shard, or to
        other work.

        Raises:
            RequestError: OpenSearch cannot be asked.
        """
        if found is not None and not self._is_free(found):
            return None
        is_kept = found is not None and not from_scratch and is_valid(found.checkpoint, shard, work)
        wanted = Checkpoint(
            index=shard.index,
            field=work.field,
            shard=shard.number,
            index_uuid=shard.index_uuid,
            history_uuid=shard.history_uuid,
            primary_term=shard.primary_term,
            work=work.name,
            checkpoint=found.checkpoint.checkpoint if found and is_kept else work.start,
            as_of_ms=found.checkpoint.as_of_ms if found and is_kept else 0,
            owner=self.owner,
            expires_ms=self.expires_ms(),
            slice=work.slice,
        )
        try:
            return Lease(self, self.write(wanted, found))
        except ConflictError:
            return None

    def expires_ms(self) -> int:
        """Return when a lease that is taken or renewed now expires, epoch milliseconds."""
        return int((time.time() + self.lease_s) * 1000)

    def write(self, checkpoint: Checkpoint, replaced: StoredCheckpoint | None) -> StoredCheckpoint:
        """Write the checkpoint, and try again while OpenSearch is busy or away.

        Raises:
            ConflictError: somebody else has written it since.
            RequestError: OpenSearch cannot be asked.
        """
        return retry(lambda: self.checkpoints.write(checkpoint, replaced), self.retry_policy, self.waiting)

    def _is_free(self, found: StoredCheckpoint) -> bool:
        """Whether a shard is nobody's, this runner's, expired, or not renewed for the length of a lease.

        The last is measured by this runner's clock, in case the owner's clock is ahead.
        """
        one = found.checkpoint
        key = one.index, one.shard, one.field, one.slice
        seen_no, since = self._unchanged.get(key, (-1, 0.0))
        if seen_no != found.seq_no:
            since = time.monotonic()
            self._unchanged[key] = found.seq_no, since
        is_over = one.expires_ms <= time.time() * 1000 or time.monotonic() - since > self.lease_s
        return one.owner in (None, self.owner) or is_over


def is_valid(checkpoint: Checkpoint, shard: Shard, work: Work) -> bool:
    """Return whether a checkpoint is about this life of the shard and this work.

    The primary term may have grown: operations up to a global checkpoint survive a failover.
    """
    return (checkpoint.index_uuid, checkpoint.history_uuid, checkpoint.work) == (
        shard.index_uuid,
        shard.history_uuid,
        work.name,
    )

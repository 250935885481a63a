"""A pass over a shard that this runner has leased: refreshed before it, and let go after it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from indexer.sync.followed import Followed
from indexer.sync.lease import Lease, LeaseLostError
from indexer.sync.refresh import Refresher
from indexer.sync.shard_pass import Pass, Run, StoppedError
from opensearch.changes.shards import Shard
from opensearch.errors import RequestError


def pass_over(
    run: Run,
    refresher: Refresher,
    followed: Followed,
    shard: Shard,
    lease: Lease,
    as_of_ms: int,
    moved: Callable[[int], None],
    end: int | None = None,
) -> None:
    """Follow a shard from the lease's checkpoint to `end`, None: to its global checkpoint; release the lease.

    Everything that was written before `as_of_ms` (epoch milliseconds) is followed then. `moved` is called
    after each page with how far that is. If another runner has taken the shard, the pass ends early.

    Raises:
        StoppedError: the run was asked to end.
        BlockedError: a document must be written, and cannot be; those before it are noted as done.
        RequestError: OpenSearch cannot be asked.
    """
    try:
        shard = refresher.refresh(followed.index, shard)
        if end is not None:
            shard = replace(shard, global_checkpoint=end)
        if shard.global_checkpoint > lease.checkpoint:
            one = Pass(run, shard, lease, followed.repairs, followed.fresh_s, followed.obstacle, moved)
            one.run(as_of_ms)
        lease.release()
    except LeaseLostError as error:
        run.waiting(str(error))
    except (StoppedError, RequestError):
        with suppress(RequestError, LeaseLostError):
            lease.release()
        raise

"""One pass over one shard: everything written since its checkpoint is checked and repaired, in order.

The next page is read and the last one is written while this one is encoded.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from indexer.enricher import Outcome
from indexer.sync.lease import Lease
from indexer.sync.repair import Repair, RepairPlanner
from indexer.sync.summary import SyncSummary
from indexer.sync.throttle import Throttle
from opensearch.changes.feed import Change, read_changes
from opensearch.changes.shards import Shard
from opensearch.client import OpenSearchClient
from opensearch.errors import BlockedError, IndexMissingError, RefusedError
from opensearch.index import metadata
from opensearch.index.write_obstacle import Obstacle
from opensearch.retry import RetryPolicy, retry
from opensearch.writes.bulk import Bulk, BulkResult

FIRST_PAGE = 64
LARGEST_PAGE = 1024
PAGE_CHARACTERS = 4_000_000
LONG_PAGE_S = 4.0
"""A page that holds more, or takes longer, is followed by one of half its documents: memory stays bounded,
and the lease is renewed in time."""

_CONFLICTS = frozenset({404, 409})


class StoppedError(Exception):
    """The run was asked to end; the checkpoints hold what is done."""


@dataclass(frozen=True)
class Run:
    """What all passes of a run share.

    `stop` is set to end the run after the current batch; `progress` is called with the summary after each.
    """

    upstream: OpenSearchClient
    summary: SyncSummary = field(default_factory=SyncSummary)
    throttle: Throttle = field(default_factory=Throttle)
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    stop: threading.Event = field(default_factory=threading.Event)
    progress: Callable[[SyncSummary], None] = lambda summary: None
    waiting: Callable[[str], None] = lambda reason: None


@dataclass(frozen=True)
class _Page:
    after: int
    changes: list[Change]
    read_s: float


class Pass:
    """One pass over one shard whose lease this runner holds.

    Args:
        run: what all passes share.
        shard: the shard, and up to which operation it is followed.
        lease: renewed after each page.
        repairs: for the shard's index.
        fresh_s: longest time between reading a document and writing it; None: a lock guards that.
        obstacle: what keeps documents from being written; None if nothing does.
        moved: called after each page with how far the shard has been followed.
    """

    def __init__(
        self,
        run: Run,
        shard: Shard,
        lease: Lease,
        repairs: RepairPlanner,
        fresh_s: float | None,
        obstacle: Obstacle | None = None,
        moved: Callable[[int], None] = lambda position: None,
    ) -> None:
        self._run = run
        self._shard = shard
        self._lease = lease
        self._repairs = repairs
        self._fresh_s = fresh_s
        self._obstacle = obstacle
        self._moved = moved
        self._bulk = Bulk(run.upstream, shard.index, run.retry_policy, run.waiting)
        self._largest = LARGEST_PAGE
        if run.throttle.docs_s is not None:  # a pause must not outlast the lease
            self._largest = max(1, min(LARGEST_PAGE, int(run.throttle.docs_s * LONG_PAGE_S)))
        self._size = min(FIRST_PAGE, self._largest)

    def run(self, as_of_ms: int) -> None:
        """Follow the shard to its global checkpoint, which was asked for at `as_of_ms`.

        Raises:
            StoppedError: the run was asked to end.
            LeaseLostError: another runner has the shard now.
            BlockedError: a document must be written, and cannot be; those before it are noted as done.
            RequestError: OpenSearch cannot be asked.
        """
        with ThreadPoolExecutor(2) as pool:
            next_page = pool.submit(self._read, self._lease.checkpoint)
            writing = _nothing
            while (page := next_page.result()).changes:
                started = time.monotonic()
                next_page = pool.submit(self._read, page.changes[-1].seq_no)
                repairs = self._repairs(page.changes)
                writing()
                writing = _nothing
                self._check(repairs)
                if self._is_too_old(page):
                    next_page = self._reread_half(pool, page)
                    continue
                writing = self._start_writing(pool, page, repairs)
                pause_s = self._pause_s(page, repairs, time.monotonic() - started)
                if pause_s:
                    writing()
                    writing = _nothing
                if self._run.stop.wait(pause_s):
                    writing()
                    raise StoppedError
            writing()
        self._advance(self._shard.global_checkpoint, as_of_ms)

    def _advance(self, checkpoint: int, as_of_ms: int | None = None) -> None:
        before, summary = self._lease.checkpoint, self._run.summary
        self._lease.advance(checkpoint, as_of_ms)
        summary.passed += checkpoint - before
        summary.pending = max(0, summary.pending - (checkpoint - before))

    def _check(self, repairs: Sequence[Repair]) -> None:
        if self._obstacle is not None and any(repair.item is not None for repair in repairs):
            raise BlockedError(f"{self._shard.index}: {self._obstacle.problem}")

    def _read(self, after: int) -> _Page:
        read_s = time.monotonic()
        upto, size = self._shard.global_checkpoint, self._size
        changes = retry(
            lambda: read_changes(self._run.upstream, self._shard, after, upto, size),
            self._run.retry_policy,
            self._run.waiting,
        )
        return _Page(after, changes, read_s)

    def _check_life(self) -> None:
        """Check that the index has not been deleted, since a bulk write would create it again, empty.

        Raises:
            IndexMissingError: it has been.
        """
        found = retry(
            lambda: metadata.find_uuid(self._run.upstream, self._shard.index),
            self._run.retry_policy,
            self._run.waiting,
        )
        if found != self._shard.index_uuid:
            raise IndexMissingError(
                f"{self._shard.index}: expected the index that was read, found that it was deleted meanwhile"
            )

    def _is_too_old(self, page: _Page) -> bool:
        return self._fresh_s is not None and time.monotonic() - page.read_s > self._fresh_s

    def _reread_half(self, pool: ThreadPoolExecutor, page: _Page) -> Future[_Page]:
        """Read half of a page again that took too long to encode: a deletion may be forgotten by now."""
        if len(page.changes) == 1:
            raise RefusedError(
                f"{self._shard.index}/{page.changes[0].id}: expected to encode it within"
                f" {self._fresh_s} s, half of index.gc_deletes, which `versioning: external`"
                " needs. Raise index.gc_deletes"
            )
        self._size = max(1, len(page.changes) // 2)
        return pool.submit(self._read, page.after)

    def _start_writing(
        self, pool: ThreadPoolExecutor, page: _Page, repairs: Sequence[Repair]
    ) -> Callable[[], None]:
        """Start to write; return a function that waits for the end, counts, and marks the page as done."""
        items = [repair.item for repair in repairs if repair.item is not None]
        if items:
            self._check_life()
        sent = pool.submit(self._bulk.write, items)

        def finish() -> None:
            results = iter(sent.result())
            for repair in repairs:
                self._count(repair, next(results) if repair.item is not None else None)
            self._advance(page.changes[-1].seq_no)
            self._moved(page.changes[-1].seq_no)
            self._run.progress(self._run.summary)

        return finish

    def _count(self, repair: Repair, result: BulkResult | None) -> None:
        summary, document_id = self._run.summary, repair.change.id
        summary.checked += 1
        if repair.outcome is not None:
            summary.outcomes[repair.outcome] += 1
        if repair.problem is not None:
            summary.reject(self._shard.index, document_id, repair.problem)
        elif repair.outcome is Outcome.NOT_ENCODABLE:
            summary.reject(self._shard.index, document_id, "the model gives no finite vector for its text")
        if result is None:
            summary.current += repair.problem is None
        elif result.reason is None:
            summary.written += 1
        elif result.status in _CONFLICTS:
            summary.conflicts += 1
        elif result.status == 403:  # a block or a missing right: true of every document, and may be lifted
            kind = BlockedError if "cluster_block_exception" in result.reason else RefusedError
            raise kind(f"{self._shard.index}: OpenSearch blocks writing: {result.reason}")
        else:
            summary.reject(self._shard.index, document_id, f"OpenSearch: {result.status} {result.reason}")

    def _pause_s(self, page: _Page, repairs: Sequence[Repair], busy_s: float) -> float:
        """Choose the size of the next page, and return the pause before it."""
        characters = sum(len(change.source) for change in page.changes)
        if busy_s > LONG_PAGE_S or characters > PAGE_CHARACTERS:
            self._size = max(1, len(page.changes) // 2)
        elif busy_s < LONG_PAGE_S / 3 and characters < PAGE_CHARACTERS / 3:
            self._size = min(self._largest, self._size * 2)
        written = sum(repair.item is not None for repair in repairs)
        return self._run.throttle.pause_s(written, busy_s) if written else 0.0


def _nothing() -> None:
    """Nothing is in flight."""

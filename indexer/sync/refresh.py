"""Makes operations visible before they are looked for: by a refresh, or by waiting for one."""

import time
from collections.abc import Callable
from typing import TypeVar

from indexer.sync.shard_pass import Run, StoppedError
from opensearch.changes.feed import read_changes
from opensearch.changes.shards import Shard, read_primary_shards
from opensearch.durations import parse_duration
from opensearch.errors import DeniedError
from opensearch.index import metadata
from opensearch.index.metadata import Index
from opensearch.retry import retry

_QUIET_S = 5.0
_QUIET_INTERVALS = 5.0
"""If there is nothing to refresh, no refresh is counted: after both of these it must have happened."""

_ASK_S = 0.2

Answer = TypeVar("Answer")


class Refresher:
    """Makes every operation up to a global checkpoint visible to the search that follows."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._denied: set[str] = set()

    def refresh(self, index: Index, shard: Shard) -> Shard:
        """Refresh, or wait for it, and return the shard, up to whose global checkpoint everything is visible.

        A refresh passes over a primary that is missing just then, and the copy that takes its place may not
        have refreshed: so the primary must be the same one afterwards, else all is done again.

        Raises:
            DeniedError: a refresh is not allowed, and the index refreshes never by itself.
            StoppedError: the run was asked to end.
            RequestError: OpenSearch cannot be asked.
        """
        while True:
            if not self._try_to_refresh(index):
                self._wait(index, shard)
            now = self._ask_shard(index, shard.number)
            if now.primary_term == shard.primary_term:
                return shard
            shard = now

    def _try_to_refresh(self, index: Index) -> bool:
        """Refresh; return whether that is allowed."""
        if index.name in self._denied:
            return False
        try:
            self._retry(lambda: metadata.refresh(self._run.upstream, index.name))
        except DeniedError as error:
            self._run.waiting(f"{error}. Waiting for the index's own refreshes instead")
            self._denied.add(index.name)
            return False
        return True

    def _wait(self, index: Index, shard: Shard) -> None:
        interval_s = parse_duration(index.settings.get("index.refresh_interval", "1s"))
        if interval_s < 0:
            raise DeniedError(
                f"{index.name}: expected the right to refresh (indices:admin/refresh), or a refresh_interval,"
                " found neither: written documents never become visible. Grant the right, or refresh yourself"
            )
        until = time.monotonic() + max(_QUIET_S, _QUIET_INTERVALS * interval_s)
        while time.monotonic() < until:
            # a search wakes a shard that is idle
            self._retry(lambda: read_changes(self._run.upstream, shard, 0, 0, 1))
            if self._run.stop.wait(_ASK_S):
                raise StoppedError
            now = self._ask_shard(index, shard.number)
            # one of them may have begun before the checkpoint was read
            if now.primary_term == shard.primary_term and now.refreshes >= shard.refreshes + 2:
                return

    def _ask_shard(self, index: Index, number: int) -> Shard:
        return self._retry(lambda: read_primary_shards(self._run.upstream, index)[number])

    def _retry(self, ask: Callable[[], Answer]) -> Answer:
        return retry(ask, self._run.retry_policy, self._run.waiting)

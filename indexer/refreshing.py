"""Makes operations visible before they are looked for: by a refresh, or by waiting for one."""

import time

from indexer.feed import Run, StoppedError
from opensearch import indices
from opensearch.changes import read_changes
from opensearch.durations import seconds
from opensearch.errors import DeniedError
from opensearch.indices import Index
from opensearch.patience import Persistence
from opensearch.shards import Shard, primary_shards

_QUIET_S = 5.0
_QUIET_INTERVALS = 5.0
"""Where nothing was to be refreshed no refresh is counted: after both of these it must have happened."""

_ASK_S = 0.2


class Refresher:
    """Makes every operation up to a global checkpoint visible to the search that follows."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._denied: set[str] = set()

    def refresh(self, index: Index, shard: Shard) -> None:
        """Refresh, or wait for it.

        Raises:
            DeniedError: a refresh is not allowed, and the index refreshes never by itself.
            StoppedError: the run was asked to end.
            RequestError: OpenSearch cannot be asked.
        """
        if index.name not in self._denied:
            try:
                Persistence(self._run.patience, self._run.waiting).insist(
                    lambda: indices.refresh(self._run.upstream, index.name)
                )
            except DeniedError as error:
                self._run.waiting(f"{error}. Waiting for the index's own refreshes instead")
                self._denied.add(index.name)
            else:
                return
        self._wait(index, shard)

    def _wait(self, index: Index, shard: Shard) -> None:
        interval_s = seconds(index.settings.get("index.refresh_interval", "1s"))
        if interval_s < 0:
            raise DeniedError(
                f"{index.name}: expected the right to refresh (indices:admin/refresh), or a refresh_interval,"
                " found neither: written documents never become visible. Grant the right, or refresh yourself"
            )
        until = time.monotonic() + max(_QUIET_S, _QUIET_INTERVALS * interval_s)
        while time.monotonic() < until:
            read_changes(self._run.upstream, shard, 0, 0, 1)  # wakes a shard that rests for want of searches
            if self._run.stop.wait(_ASK_S):
                raise StoppedError
            now = primary_shards(self._run.upstream, index)[shard.number]
            # one of them may have begun before the checkpoint was read
            if now.refreshes >= shard.refreshes + 2:
                return

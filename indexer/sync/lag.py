"""How far the followed shards are behind, from the start of a run and during each pass."""

import time
from dataclasses import dataclass

from indexer.sync.summary import Lag

Key = tuple[str, int]
"""A shard: the index's UUID and its number."""


@dataclass(frozen=True)
class _Behind:
    """One shard: it is followed up to `position`, and was up to date at `since_ms` (epoch milliseconds)."""

    position: int
    goal: int
    since_ms: int


class Lags:
    """The lags of all shards, as they were last seen."""

    def __init__(self) -> None:
        self._shards: dict[Key, _Behind] = {}
        self._is_out_of_sight = False

    def note(self, shard: Key, position: int, goal: int, since_ms: int) -> None:
        """Note how far a shard is followed, of how many operations, and when it was last up to date."""
        self._shards[shard] = _Behind(position, goal, since_ms)

    def move(self, shard: Key, position: int) -> None:
        """Note that a pass has come further."""
        before = self._shards.get(shard)
        if before is not None:  # else its lag is noted at the end of the pass
            self._shards[shard] = _Behind(position, before.goal, before.since_ms)

    def end_round(self, shards: set[Key]) -> None:
        """Forget shards that are gone: these are all that are followed."""
        self._shards = {key: one for key, one in self._shards.items() if key in shards}
        self._is_out_of_sight = False

    def lose_sight(self) -> None:
        """Note that OpenSearch cannot be asked, so that the lag grows from now on."""
        self._is_out_of_sight = True

    @property
    def total(self) -> Lag | None:
        """The lag of all shards together; None if none was visited yet."""
        if not self._shards:
            return None
        counted = [one for one in self._shards.values() if self._is_out_of_sight or one.position < one.goal]
        now_ms = time.time() * 1000
        return Lag(
            sum(max(0, one.goal - one.position) for one in counted),
            max((max(0.0, now_ms - one.since_ms) / 1000 for one in counted), default=0.0),
        )

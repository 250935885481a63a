"""The indices that a sync must write to, and cannot: reported once, and left alone until that changes."""

from collections.abc import Sequence

from indexer.sync.followed import Followed
from indexer.sync.lag import Key
from indexer.sync.shard_pass import Run
from opensearch.errors import BlockedError
from opensearch.index.write_obstacle import Obstacle


class BlockedIndices:
    """The blocked indices of one run, noted in its summary."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._shards: dict[Key, tuple[int, Obstacle | None]] = {}

    def __contains__(self, shard: Key) -> bool:
        return shard in self._shards

    def note(self, followed: Followed, problem: str) -> None:
        """Note that an index must be written to and cannot be, or cannot even be read."""
        name = followed.index.name
        if self._run.summary.blocked.get(name) != problem:
            self._run.summary.blocked[name] = problem
            self._run.waiting(f"{name} cannot be written to: {problem}")

    def note_shard(self, followed: Followed, shard: Key, checkpoint: int, error: BlockedError) -> None:
        """Note that a document of a shard cannot be written, though it must be."""
        self._shards[shard] = checkpoint, followed.obstacle
        self.note(followed, str(error) if followed.obstacle is None else followed.obstacle.problem)

    def begin(self, followed: Followed) -> None:
        """Note that an index is visited again: it counts as free unless the obstacle is met again."""
        if followed.obstacle is None:
            self._run.summary.blocked.pop(followed.index.name, None)
        elif not followed.obstacle.is_readable:
            self.note(followed, followed.obstacle.problem)

    def is_unchanged(self, followed: Followed, shard: Key, checkpoint: int) -> bool:
        """Return whether nothing has changed since a document of the shard could not be written."""
        if followed.obstacle is not None and self._shards.get(shard) == (checkpoint, followed.obstacle):
            return True
        self._shards.pop(shard, None)
        return False

    def check(self, followed: Sequence[Followed]) -> None:
        """Check that there is an index to go on with.

        Raises:
            BlockedError: every index that is followed must be written to, and none can be.
        """
        blocked = self._run.summary.blocked
        if blocked and all(one.index.name in blocked for one in followed):
            raise BlockedError("; ".join(f"{name}: {problem}" for name, problem in blocked.items()))

"""Find what keeps vectors from being written to an index's documents, before it is tried."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from opensearch.errors import BlockedError, MappingError
from opensearch.index.kept_source import KeptSource
from opensearch.index.metadata import Index

_APPEND_ONLY = "index.append_only.enabled"
_BLOCKS = ("index.blocks.write", "index.blocks.read_only", "index.blocks.read_only_allow_delete")


@dataclass(frozen=True)
class Obstacle:
    """Why no document of an index can be written again.

    Attributes:
        found: the property of the index that prevents it.
        problem: a sentence: what was expected, what was found, what to do.
        is_readable: whether the documents can be read.
        may_end: whether it can be lifted from this very index.
        is_lossy: whether a document can be written again, but not without a loss; whole documents can be.
    """

    found: str
    problem: str
    is_readable: bool = True
    may_end: bool = False
    is_lossy: bool = False


def find_write_obstacle(index: Index) -> Obstacle | None:
    """Return what keeps sync, a migration and the removal of vectors from writing; None if nothing does."""
    return next(_find_obstacles(index), None)


def check_writable(found: Sequence[Index]) -> None:
    """Check that documents of all these indices can be written again, before the first one is changed.

    Raises:
        MappingError: those of one cannot be, or would lose something by it.
    """
    for index in found:
        obstacle = find_write_obstacle(index)
        if obstacle is not None:
            raise MappingError(f"{index.name}: {obstacle.problem}")


def check_indexable(index: Index) -> None:
    """Check that whole documents with ids of their own can be written.

    Raises:
        BlockedError: they cannot be.
    """
    for obstacle in _find_obstacles(index):
        if not obstacle.is_lossy:
            raise BlockedError(f"{index.name}: {obstacle.problem}")


def enable_notes(index: Index) -> Iterator[str]:
    """Yield notes on what cannot run on an index because of these obstacles."""
    for obstacle in _find_obstacles(index):
        if obstacle.is_lossy or _APPEND_ONLY in obstacle.found:
            yield (
                f"{index.name}: vectors only on writes through the proxy without an ingest pipeline"
                f"{', and by twinrank index' if obstacle.is_lossy else ''}; sync, disable --strip and migrate"
                f" cannot run here: {obstacle.found}"
            )
        else:
            yield f"{index.name}: sync, disable --strip and migrate cannot run here: {obstacle.problem}"


def _find_obstacles(index: Index) -> Iterator[Obstacle]:
    if _is_on(index, "index.verified_before_close"):
        yield Obstacle(
            "the index is closed",
            f"expected an open index, found a closed one. Open it: POST /{index.name}/_open",
            is_readable=False,
            may_end=True,
        )
    kept = KeptSource.from_mapping(index.mapping)
    if kept.dropped_by is not None and kept.problem is not None:
        yield Obstacle(kept.dropped_by, kept.problem, is_lossy=True)
    if _is_on(index, _APPEND_ONLY):
        yield Obstacle(
            f"`{_APPEND_ONLY}: true`",
            "expected an index that takes a second write of a document, found `index.append_only.enabled:"
            " true`. Write through the proxy without an ingest pipeline, so that the vector is in the first"
            " write; copy what is there already through the proxy into a new index",
        )
    if index.settings.get("index.store.type") == "remote_snapshot":
        yield Obstacle(
            "a searchable snapshot",
            "expected an index that can be written to, found a searchable snapshot. Restore the snapshot as"
            " an index, run the command there, and take another snapshot",
        )
    leader = index.settings.get("index.plugins.replication.follower.leader_index")
    if leader is not None:
        yield Obstacle(
            "an index that follows another cluster's",
            f"expected an index that can be written to, found one that follows {leader} of another cluster."
            " Run the command there: the vectors come with the documents",
        )
    for block in _BLOCKS:
        if _is_on(index, block):
            yield Obstacle(
                f"`{block}: true`",
                f"expected an index that can be written to, found `{block}: true`. Lift the block: PUT"
                f' /{index.name}/_settings {{"{block}": null}}',
                may_end=True,
            )


def _is_on(index: Index, setting: str) -> bool:
    return str(index.settings.get(setting)).lower() == "true"

"""An index that sync follows: what is checked and done in it, and the obstacle to writing, if any."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from indexer.enricher import chunking_of
from indexer.sync.lease import Work
from indexer.sync.repair import RepairPlanner
from indexer.vector_fields import FieldPolicy
from opensearch.durations import parse_duration
from opensearch.index.metadata import Index
from opensearch.index.write_obstacle import Obstacle
from opensearch.settings.table import RerankSettings


@dataclass(frozen=True)
class Followed:
    """One index with what is done for it; `work` says what that is.

    `obstacle` is what keeps its documents from being written, None if nothing does.
    """

    index: Index
    settings: RerankSettings
    repairs: RepairPlanner
    work: Work
    obstacle: Obstacle | None

    @property
    def fresh_s(self) -> float | None:
        """How long what was read may be written without a lock: half of the time that deletions are known."""
        if self.settings.versioning == "internal":
            return None
        return parse_duration(self.index.settings.get("index.gc_deletes", "60s")) / 2

    @property
    def is_readable(self) -> bool:
        """Whether its documents can be read and counted."""
        return self.obstacle is None or self.obstacle.is_readable


def describe_work(settings: RerankSettings, policies: Sequence[FieldPolicy]) -> Work:
    """Return what a pass does: which models' vectors in which fields, of which texts."""
    chunk = chunking_of(settings)
    seen_to = [f"{policy.field}:{policy.name}" for policy in policies]
    cut = [chunk.max_tokens, chunk.overlap, chunk.max_chunks]
    return Work(policies[0].field, json.dumps([seen_to, list(settings.source_fields), cut]))

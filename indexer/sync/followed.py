"""An index that sync follows: what is checked and done in it, and the obstacle to writing, if any."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from indexer.enricher import chunking_of
from indexer.sync.lease import Work
from indexer.sync.repair import RepairPlanner
from indexer.vector_fields import FieldPolicy
from opensearch.client import OpenSearchClient
from opensearch.durations import parse_duration
from opensearch.errors import IndexMissingError
from opensearch.index import metadata
from opensearch.index.metadata import Index
from opensearch.index.write_obstacle import Obstacle, find_write_obstacle
from opensearch.settings.table import META_KEY, RerankSettings
from opensearch.settings.validation import names_existing_vectors

Policies = Callable[[Index], Sequence[FieldPolicy]]
"""Returns the field policies of an index, the main field's first. Raises if it has another model."""


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
    def filled_settings(self) -> RerankSettings:
        """The settings with the field first that gets vectors: during a migration that may be the second."""
        second = self.settings.second
        return second if second is not None and second.field == self.work.field else self.settings

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


def find_followed(
    upstream: OpenSearchClient, name: str, policies: Policies, known: Sequence[Followed] = ()
) -> list[Followed]:
    """Return the indices behind a name whose vectors are Twinrank's to make.

    Those in `known` keep their planner of repairs.

    Raises:
        IndexMissingError: there is no such index, or none has settings.
        MappingError, SettingsError: an index cannot be followed.
        RequestError: OpenSearch cannot be asked.
    """
    found = metadata.find_indices(upstream, name)
    enabled = [index for index in found if META_KEY in index.meta]
    if not enabled:
        raise IndexMissingError(
            f"expected an index {name} with settings, found"
            f" {len(found)} without. Write them with: twinrank enable {name} --field FIELD"
        )
    followed = [index for index in enabled if not names_existing_vectors(index.meta[META_KEY])]
    for index in () if followed else enabled:
        index.rerank_settings().check_managed(index.name, "There is nothing to sync")
    planners = {(each.index.name, each.work): each.repairs for each in known}
    return [_follow(index, policies(index), planners) for index in followed]


def _follow(
    index: Index, policies: Sequence[FieldPolicy], planners: dict[tuple[str, Work], RepairPlanner]
) -> Followed:
    settings = index.rerank_settings()
    work = describe_work(settings, policies)
    repairs = planners.get((index.name, work)) or RepairPlanner(index, settings, policies)
    return Followed(index, settings, repairs, work, find_write_obstacle(index))

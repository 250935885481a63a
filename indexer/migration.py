"""The change from one model to another, by a second vector field that searches switch to, or back from.

Every step is one mapping update. The settings name both fields: `model` and `field` are what searches use,
`migration` is the other pair. `indexer.vector_fields` keeps both free of vectors of former texts.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from indexer.audit import Audit, Worth, judge_vector
from opensearch.changes import snapshot
from opensearch.client import OpenSearchClient
from opensearch.errors import IndexMissingError
from opensearch.fields import stored_vectors
from opensearch.index import mapping, metadata
from opensearch.index.metadata import Index
from opensearch.settings.table import META_KEY, MigrationSettings, RerankSettings, encode_settings

Progress = Callable[[int, int], None]
"""Gets the number of documents checked so far, and of all."""


class MigrationError(Exception):
    """The state of the migration does not allow a step; the message says what to do."""


def find_enabled(upstream: OpenSearchClient, name: str) -> list[Index]:
    """Return the indices behind a name that have settings.

    Raises:
        IndexMissingError: there is none.
        RequestError: OpenSearch cannot be asked.
    """
    found = [index for index in metadata.find_indices(upstream, name) if META_KEY in index.meta]
    if not found:
        raise IndexMissingError(
            f"expected an index {name} with settings, found none."
            f" Write them with: twinrank enable {name} --field FIELD"
        )
    return found


def begin(upstream: OpenSearchClient, index: Index, model: str, field: str | None = None) -> RerankSettings:
    """Map the second field, and name it and its model in the settings. A second call changes nothing.

    Raises:
        MigrationError: the index has that model already, or another migration is under way.
        MappingError, SettingsError, RequestError: the mapping cannot be read, or refuses.
    """
    settings = index.rerank_settings()
    settings.check_managed(
        index.name,
        "Let what writes the index make the new model's vectors in another field, then: twinrank enable"
        f" {index.name} --vectors-from FIELD --bundle FOLDER",
    )
    other = settings.migration
    if other.model == model and not other.cut_over:
        return settings
    if settings.model == model:
        raise MigrationError(f"{index.name}: expected another model than {model}, which searches use already")
    if other.model is not None:
        raise MigrationError(
            f"{index.name}: expected no migration under way, found one with {other.model}."
            f" End it first: twinrank migrate {index.name} cleanup"
        )
    second = field or _choose_second_field(settings.field)
    return _write(
        upstream, index, msgspec.structs.replace(settings, migration=MigrationSettings(model, second))
    )


def measure_coverage(
    upstream: OpenSearchClient,
    index: Index,
    settings: RerankSettings,
    model_tag: int,
    progress: Progress = lambda done, total: None,
) -> tuple[float, Audit]:
    """Return the share of documents with text that have a current vector of that model, and the whole audit.

    `settings` have the field in question first.

    Raises:
        RequestError: OpenSearch cannot be asked.
    """
    metadata.refresh(upstream, index.name)
    audit, total = Audit(), stored_vectors.count(upstream, index.name, settings.field).documents
    for stored in snapshot.read_documents(upstream, index, settings.field, settings.source_fields):
        audit.add(stored.id, judge_vector(stored, settings, model_tag))
        progress(audit.documents, total)
    with_text = audit.documents - audit.counts[Worth.WITHOUT_TEXT]
    return (audit.counts[Worth.CURRENT] / with_text if with_text else 1.0), audit


def cut_over(
    upstream: OpenSearchClient,
    index: Index,
    model_tag: int,
    wanted: float,
    progress: Progress = lambda done, total: None,
) -> RerankSettings:
    """Let searches use the second field: the two are swapped, in one mapping update.

    Raises:
        MigrationError: nothing to change over to, or too few documents have the new vector.
        MappingError, SettingsError, RequestError: as `begin`.
    """
    settings = index.rerank_settings()
    second = settings.second
    if second is None or settings.migration.cut_over:
        raise MigrationError(
            f"{index.name}: expected a migration that is not cut over, found {_name_state(settings)}."
            f" Begin with: twinrank migrate {index.name} --to FOLDER"
        )
    share, audit = measure_coverage(upstream, index, second, model_tag, progress)
    if share < wanted:
        raise MigrationError(
            f"{index.name}: expected {wanted:.2%} of the documents to have a vector of {second.model}, found"
            f" {share:.2%} ({'; '.join(audit.lines())})."
            f" Fill them with: twinrank migrate {index.name} --to FOLDER"
        )
    return _exchange(upstream, index, settings, is_cut_over=True)


def roll_back(upstream: OpenSearchClient, index: Index) -> RerankSettings:
    """Let searches use the field from before the cut-over again, in one mapping update.

    Raises:
        MigrationError: nothing to go back to.
        MappingError, SettingsError, RequestError: as `begin`.
    """
    settings = index.rerank_settings()
    if not settings.migration.cut_over:
        raise MigrationError(
            f"{index.name}: expected a migration that is cut over and not cleaned up, found"
            f" {_name_state(settings)}"
        )
    return _exchange(upstream, index, settings, is_cut_over=False)


def forget(upstream: OpenSearchClient, index: Index) -> str:
    """Remove the second field from the settings, and return its name: its values must be removed next.

    Raises:
        MigrationError: there is none.
        MappingError, SettingsError, RequestError: as `begin`.
    """
    settings = index.rerank_settings()
    field = settings.migration.field
    if field is None:
        raise MigrationError(f"{index.name}: expected a second field, found {_name_state(settings)}")
    _write(upstream, index, msgspec.structs.replace(settings, migration=MigrationSettings()))
    return field


def describe_state(index: Index) -> Mapping[str, Any]:
    """Return the state of an index's migration, for people and machines.

    Raises:
        SettingsError: the index has no valid settings.
    """
    settings = index.rerank_settings()
    return {
        "index": index.name,
        "model": settings.model,
        "field": settings.field,
        "migration": _name_state(settings),
        "other_model": settings.migration.model,
        "other_field": settings.migration.field,
    }


def _name_state(settings: RerankSettings) -> str:
    if settings.migration.model is None:
        return "none"
    return "cut over" if settings.migration.cut_over else "filling"


def _exchange(
    upstream: OpenSearchClient, index: Index, settings: RerankSettings, *, is_cut_over: bool
) -> RerankSettings:
    second = settings.second
    if second is None:
        raise MigrationError(f"{index.name}: expected a second field, found none")
    first = msgspec.structs.replace(second.migration, cut_over=is_cut_over)
    return _write(upstream, index, msgspec.structs.replace(second, migration=first))


def _write(upstream: OpenSearchClient, index: Index, settings: RerankSettings) -> RerankSettings:
    for field in settings.fields[1:] or settings.fields:
        mapping.write(upstream, index.name, field, encode_settings(settings))
    return settings


def _choose_second_field(field: str) -> str:
    return field.removesuffix("_2") if field.endswith("_2") else f"{field}_2"

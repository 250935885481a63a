"""Switch reranking on or off for an index: the vector field and the settings, in its mapping."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from opensearch.client import OpenSearchClient
from opensearch.errors import IndexMissingError
from opensearch.index import mapping, metadata
from opensearch.index.doc_value_fields import find_doc_value_problems
from opensearch.index.ingest_pipelines import pipeline_notes
from opensearch.index.metadata import Index
from opensearch.index.source_fields import field_notes, paths_overlap, propose_fields
from opensearch.index.write_obstacle import enable_notes
from opensearch.settings.layers import BundleDefaults, flatten
from opensearch.settings.table import META_KEY, RerankSettings, SettingsError, encode_settings
from opensearch.settings.validation import SettingsSource, parse_settings

_GIVEN = SettingsSource(f"_meta.{META_KEY}", "Nothing was changed: correct what you set, and try again")

_ALWAYS_SHOWN = ("model", "source_fields")
_OF_EXISTING = ("field", "vectors")
_DECIDE_VECTORS = ("model", "field", "vectors", "source_fields", "chunk")


@dataclass(frozen=True)
class EnableRequest:
    """What to set. `settings` holds what was given, in the form of `_meta.rerank`; the rest stays.

    `default_model` is set if an index has no model yet. `bundle` says what holds for settings that come with
    it.
    """

    default_model: str
    settings: dict[str, Any] = field(default_factory=dict)
    bundle: BundleDefaults | None = None


@dataclass(frozen=True)
class EnableResult:
    """What was changed in one index, or would be.

    `changes` has one line each; `vectors_stale` says that stored vectors no longer fit the settings.
    """

    index: str
    settings: RerankSettings
    changes: tuple[str, ...]
    vectors_stale: bool
    notes: tuple[str, ...] = ()


def enable(
    client: OpenSearchClient, name: str, wanted: EnableRequest, *, dry_run: bool = False
) -> list[EnableResult]:
    """Enable every index behind `name`, as `PUT _mapping` itself does; create it if there is none.

    All are checked before the first one is changed.

    Raises:
        MappingError: a mapping that would lose the vectors (`mapping.check`).
        SettingsError: the settings that would result are not valid.
        RequestError: OpenSearch cannot be asked, or refuses.
    """
    found = metadata.find_indices(client, name)
    if not found:
        return [_create(client, name, wanted, dry_run=dry_run)]
    plans = [_plan(index, wanted) for index in found]
    plans = [
        replace(plan, notes=(*plan.notes, *_collect_pipeline_notes(client, index, plan.settings)))
        for index, plan in zip(found, plans, strict=True)
    ]
    if not dry_run:
        for plan in plans:
            mapping.write(client, plan.index, plan.settings.managed_field, encode_settings(plan.settings))
    return plans


def disable(client: OpenSearchClient, name: str, *, dry_run: bool = False) -> list[EnableResult]:
    """Set `enabled: false` on every index behind `name`.

    The settings are not removed: without them, a field that is still mapped would look like an accident.

    Raises:
        IndexMissingError: there is no such index.
        SettingsError: an index has no valid settings, so that it is not reranked anyway.
        RequestError: OpenSearch cannot be asked, or refuses.
    """
    found = metadata.find_indices(client, name)
    if not found:
        raise IndexMissingError(f"no index {name!r}: nothing to disable")
    plans = [EnableResult(index.name, index.rerank_settings(), (), vectors_stale=False) for index in found]
    done = []
    for plan in plans:
        settings = msgspec.structs.replace(plan.settings, enabled=False)
        changes = ("enabled: true -> false",) if plan.settings.enabled else ()
        if changes and not dry_run:
            mapping.write(client, plan.index, settings.managed_field, encode_settings(settings))
        done.append(replace(plan, settings=settings, changes=changes))
    return done


def _create(client: OpenSearchClient, name: str, wanted: EnableRequest, *, dry_run: bool) -> EnableResult:
    """Plan for an empty mapping first, so that wrong settings create nothing; a template may add to it."""
    plan = _plan(Index(name, {}, {}, {}), wanted)
    notes: tuple[str, ...] = ()
    if not dry_run:
        metadata.create(client, name)
        index = metadata.find_write_index(client, name)
        plan = _plan(index, wanted)
        mapping.write(client, plan.index, plan.settings.managed_field, encode_settings(plan.settings))
        # a template may name a pipeline, or say what `_source` keeps
        notes = (*_collect_pipeline_notes(client, index, plan.settings), *enable_notes(index))
    return replace(plan, changes=("index created", *plan.changes), notes=notes)


def _plan(index: Index, wanted: EnableRequest) -> EnableResult:
    before, changes = _read_present(index)
    settings = _merge(index, before, wanted)
    mapped = mapping.check_settings(index, settings)
    if not mapped:
        changes.append(f"field {settings.field} mapped as binary with doc values")
    changes += _describe_changes(before, settings, wanted.bundle)
    stale = (
        before is not None
        and not settings.reads_existing
        and any(getattr(before, key) != getattr(settings, key) for key in _DECIDE_VECTORS)
    )
    return EnableResult(index.name, settings, tuple(changes), stale, tuple(_collect_notes(index, settings)))


def _collect_pipeline_notes(
    client: OpenSearchClient, index: Index, settings: RerankSettings
) -> Sequence[str]:
    """Return what pipelines do to texts that Twinrank encodes; vectors of the index's own are theirs."""
    return () if settings.reads_existing else pipeline_notes(client, index, settings.source_fields)


def _read_present(index: Index) -> tuple[RerankSettings | None, list[str]]:
    """Return the settings as they are; invalid ones count as none, and that is a change to report."""
    if META_KEY not in index.meta:
        return None, []
    try:
        return index.rerank_settings(), []
    except SettingsError as error:
        return None, [f"invalid settings replaced ({error})"]


def _merge(index: Index, before: RerankSettings | None, wanted: EnableRequest) -> RerankSettings:
    present: dict[str, Any] = encode_settings(before) if before else {"model": wanted.default_model}
    merged = present | wanted.settings
    for part in ("fusion", "chunk"):
        changes = wanted.settings.get(part, {})  # any other value is refused below
        merged[part] = present.get(part, {}) | changes if isinstance(changes, dict) else changes
    if "source_fields" not in merged:
        raise SettingsError(
            "expected at least one field whose text is encoded, found none. Give --field FIELD."
            + propose_fields(index)
        )
    settings = parse_settings(merged, _GIVEN)
    running = None if before is None else before.experiment.name
    if running is not None and settings.experiment.name not in (None, running):
        raise SettingsError(
            f"{index.name}: expected no second experiment, found {settings.experiment.name!r} while"
            f" {running!r} runs. Stop that first: twinrank experiment stop {index.name}"
        )
    overlapping = [name for name in settings.source_fields if paths_overlap(name, settings.field)]
    if overlapping:
        raise SettingsError(
            f"expected source fields other than the vector field {settings.field}, found {overlapping[0]!r}"
        )
    if settings.min_probability is not None and wanted.bundle is not None and not wanted.bundle.is_calibrated:
        raise SettingsError(
            f"{_GIVEN.name}.min_probability: expected no value, since {wanted.bundle.name} is not calibrated,"
            f" found {settings.min_probability}. {_GIVEN.remedy}"
        )
    for problem in find_doc_value_problems(index, settings):
        raise SettingsError(f"{_GIVEN.name}.{problem}. {_GIVEN.remedy}")
    return settings


def _describe_changes(
    before: RerankSettings | None, after: RerankSettings, bundle: BundleDefaults | None
) -> Iterator[str]:
    old = dict(flatten(before)) if before else {}
    for key, value in flatten(after):
        if before is None and (key in _ALWAYS_SHOWN or (after.reads_existing and key in _OF_EXISTING)):
            yield f"{key}: {_format(value)}"
        elif before is not None and old[key] != value:
            was, now = (
                _describe_unset(key, settings, bundle) if each is None else _format(each)
                for each, settings in ((old[key], before), (value, after))
            )
            yield f"{key}: {was} -> {now}"


def _format(value: Any) -> str:  # noqa: ANN401  # the value of any setting but None
    if isinstance(value, tuple) and value:
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value)


def _describe_unset(key: str, settings: RerankSettings, bundle: BundleDefaults | None) -> str:
    """Return in words what holds for a setting that is not set."""
    value = None if bundle is None else bundle.value(key, settings)
    return "not set" if bundle is None or value is None else f"{value} (default of {bundle.name})"


def _collect_notes(index: Index, settings: RerankSettings) -> Iterator[str]:
    yield from field_notes(index, settings.source_fields)
    if not settings.reads_existing:
        yield from enable_notes(index)
    if index.name.startswith(".ds-"):
        yield f"{index.name} is part of a data stream: put the same mapping into its index template too"

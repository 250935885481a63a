"""What a search's target indices say about reranking, read from OpenSearch's get-index response."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import msgspec

from opensearch.settings.layers import Defaults, apply_defaults
from opensearch.settings.rules import RuleSettings
from opensearch.settings.search_pipeline import SearchPipeline
from opensearch.settings.skip import Skip
from opensearch.settings.table import DEFAULT_FIELD, META_KEY, RerankSettings, SettingsError
from opensearch.settings.validation import names_existing_vectors, parse_settings

MAX_RESULT_WINDOW = 10_000
"""OpenSearch's default of `index.max_result_window`."""

INDEX_FILTER = ",".join(
    (
        "*.mappings._meta.rerank",
        "*.mappings.properties.rerank.properties.vector.type",
        "*.settings.index.creation_date",
        "*.settings.index.max_rescore_window",
        "*.settings.index.max_result_window",
        "*.settings.index.search.default_pipeline",
    )
)
"""The parts of a get-index response that decide about a search. The field is requested by its default name:
if it is mapped and the settings are gone, somebody has overwritten `_meta`."""

NO_PIPELINE = "_none"
EXPANSION_PARAMETERS = ("allow_no_indices", "expand_wildcards", "ignore_unavailable")
"""Parameters of a search that decide which indices its expression names."""


@dataclass(frozen=True)
class Target:
    """The indices behind one expression.

    `settings` hold for all of them, or say why there are none. `fields` names the vector fields of every
    concrete index that clients do not see, None if it has no settings. `pipelines` are their default search
    pipelines; `definitions` say what pipelines do, those or the one that a search asks for, if that was
    looked up. `max_result_window` and `max_rescore_window` are the smallest of theirs. `rules` are those of
    every concrete index that has any; `holding_rules` are those of the settings that hold for all of them.
    `rule_documents` and `holding_document` name the documents of `rules_from` in the same way; once these are
    read, their rules are among the others, and `rule_problem` says in a word why one could not be.
    """

    settings: RerankSettings | Skip
    fields: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    pipelines: frozenset[str] = frozenset()
    max_result_window: int = MAX_RESULT_WINDOW
    max_rescore_window: int = MAX_RESULT_WINDOW
    definitions: Mapping[str, SearchPipeline] = field(default_factory=dict)
    rules: Mapping[str, tuple[RuleSettings, ...]] = field(default_factory=dict)
    holding_rules: tuple[RuleSettings, ...] = ()
    rule_documents: Mapping[str, str] = field(default_factory=dict)
    holding_document: str | None = None
    rule_problem: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether every index has settings, right or wrong: then `ext.rerank` is for the proxy."""
        return bool(self.fields) and None not in self.fields.values()

    @property
    def all_fields(self) -> tuple[str, ...]:
        """The vector fields of all the indices, each once."""
        return tuple(dict.fromkeys(name for names in self.fields.values() for name in names or ()))

    def fields_of(self, index: str | None) -> tuple[str, ...]:
        """Return the vector fields of a concrete index; of one that is new, those of the others."""
        if index is not None and ":" in index:  # of another cluster
            return ()
        if index is None or index not in self.fields:
            return self.all_fields
        return self.fields[index] or ()


class _Meta(msgspec.Struct):
    rerank: Any = None


class _Mappings(msgspec.Struct):
    meta: _Meta = msgspec.field(name="_meta", default_factory=_Meta)
    properties: dict[str, Any] = msgspec.field(default_factory=dict)


class _Search(msgspec.Struct):
    default_pipeline: str = NO_PIPELINE


class _IndexSettings(msgspec.Struct):
    creation_date: str = "0"
    max_result_window: str = str(MAX_RESULT_WINDOW)
    max_rescore_window: str | None = None
    search: _Search = msgspec.field(default_factory=_Search)

    @property
    def rescore_window(self) -> int:
        """The longest window of a `rescore`: `max_result_window` unless it is set itself."""
        return int(self.max_rescore_window or self.max_result_window)


class _SettingsSection(msgspec.Struct):
    index: _IndexSettings = msgspec.field(default_factory=_IndexSettings)


class _Index(msgspec.Struct):
    mappings: _Mappings = msgspec.field(default_factory=_Mappings)
    settings: _SettingsSection = msgspec.field(default_factory=_SettingsSection)
    aliases: dict[str, Any] = msgspec.field(default_factory=dict)
    data_stream: str | None = None


class IndexRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one index says about reranking.

    `rerank` is its `_meta.rerank`, None if there is none; `is_overwritten` says that there is none
    although the vector field is mapped; `created_ms` is since 1970; `groups` are its aliases and data stream.
    """

    rerank: Any = None
    is_overwritten: bool = False
    created_ms: int = 0
    default_pipeline: str = NO_PIPELINE
    max_result_window: int = MAX_RESULT_WINDOW
    max_rescore_window: int = MAX_RESULT_WINDOW
    groups: tuple[str, ...] = ()


_INDICES = msgspec.json.Decoder(dict[str, _Index])


def settings_target(index_path: str, expansion: dict[str, str]) -> str:
    """Return the target that returns the settings of every index behind `index_path` (raw, no slash)."""
    parameters = urlencode({**expansion, "filter_path": INDEX_FILTER})
    return f"/{index_path or '_all'}?{parameters}"


def read_records(body: bytes) -> dict[str, IndexRecord]:
    """Read a get-index response, cut by INDEX_FILTER or whole: concrete index -> what it says.

    Raises:
        msgspec.DecodeError, ValueError: it is no such answer.
    """
    return {name: _build_record(index) for name, index in _INDICES.decode(body).items()}


def resolve_target(body: bytes, defaults: Defaults | None = None) -> Target:
    """Return what all the indices in a get-index response say, above a server's defaults."""
    try:
        records = read_records(body)
    except (msgspec.DecodeError, ValueError):
        return Target(Skip("settings_unreadable"))
    return resolve_records(records, defaults or {})


def resolve_records(records: Mapping[str, IndexRecord], defaults: Defaults) -> Target:
    """Return what these indices say together, above a server's defaults."""
    named = sorted(records.items(), key=lambda each: each[1].created_ms)
    by_age = [record for _, record in named]
    parsed = {name: _parse(record, defaults) for name, record in records.items()}
    settings = _agree(by_age, [parsed[name] for name, _ in named])
    return Target(
        settings,
        fields={name: _read_fields(index) for name, index in records.items()},
        pipelines=frozenset(index.default_pipeline for index in by_age) - {NO_PIPELINE},
        max_result_window=min((index.max_result_window for index in by_age), default=0),
        max_rescore_window=min((index.max_rescore_window for index in by_age), default=0),
        rules={name: each.rules for name, each in parsed.items() if each is not None and each.rules},
        holding_rules=() if isinstance(settings, Skip) else settings.rules,
        rule_documents={
            name: each.rules_from for name, each in parsed.items() if each is not None and each.rules_from
        },
        holding_document=None if isinstance(settings, Skip) else settings.rules_from,
    )


def find_problems(records: Mapping[str, IndexRecord], defaults: Defaults) -> dict[str, str]:
    """Return what is wrong with the settings of these indices, one sentence for each invalid one."""
    found = {name: find_problem(record, defaults) for name, record in records.items()}
    return {name: problem for name, problem in found.items() if problem is not None}


def find_problem(record: IndexRecord, defaults: Defaults) -> str | None:
    """Return what is wrong with one index's settings, None if they are valid."""
    if record.is_overwritten:
        return (
            f"expected settings under _meta.{META_KEY}, found none, though {DEFAULT_FIELD} is mapped:"
            " `_meta` was written whole without them. Write them again: twinrank enable"
        )
    if record.rerank is None:
        return None
    try:
        parse_settings(apply_defaults(defaults, record.rerank))
    except SettingsError as error:
        return str(error)
    return None


def _parse(index: IndexRecord, defaults: Defaults) -> RerankSettings | None:
    """Return one index's settings, None if it has none or they are not valid."""
    if index.rerank is None:
        return None
    try:
        return parse_settings(apply_defaults(defaults, index.rerank))
    except SettingsError:
        return None


def _agree(
    indices: Sequence[IndexRecord], settings: Sequence[RerankSettings | None]
) -> RerankSettings | Skip:
    """Return the settings that apply to indices with these settings of their own, the newest last.

    All must have settings and agree on models, fields and source fields; for everything else the newest index
    counts, so that a data stream follows its template.
    """
    if any(index.is_overwritten for index in indices):
        return Skip("settings")
    if all(index.rerank is None for index in indices):
        return Skip("not_enabled")
    if any(index.rerank is None for index in indices):
        return Skip("indices")
    valid = [each for each in settings if each is not None]
    if len(valid) < len(settings):
        return Skip("settings")
    agreed = {(each.model, each.field, each.vectors, each.source_fields, each.migration) for each in valid}
    return valid[-1] if len(agreed) == 1 else Skip("indices")


def _read_fields(index: IndexRecord) -> tuple[str, ...] | None:
    """Return the vector fields that an index's settings name, right or wrong, or named before they went.

    Vectors of the index's own are its users': they are not hidden. None: there are no settings.
    """
    rerank = index.rerank
    if rerank is None:
        return (DEFAULT_FIELD,) if index.is_overwritten else None
    if names_existing_vectors(rerank):
        return ()
    given = rerank if isinstance(rerank, dict) else {}
    migration = given.get("migration")
    second = migration.get("field") if isinstance(migration, dict) else None
    field = given.get("field", DEFAULT_FIELD)
    first = field if isinstance(field, str) and field else DEFAULT_FIELD
    return (first, second) if isinstance(second, str) and second else (first,)


def _build_record(index: _Index) -> IndexRecord:
    rerank = index.mappings.meta.rerank
    return IndexRecord(
        rerank=rerank,
        is_overwritten=rerank is None and _has_vector_field(index.mappings.properties),
        created_ms=int(index.settings.index.creation_date),
        default_pipeline=index.settings.index.search.default_pipeline,
        max_result_window=int(index.settings.index.max_result_window),
        max_rescore_window=index.settings.index.rescore_window,
        groups=(*index.aliases, *((index.data_stream,) if index.data_stream else ())),
    )


def _has_vector_field(properties: Mapping[str, Any]) -> bool:
    inner = properties.get("rerank")
    fields = inner.get("properties") if isinstance(inner, dict) else None
    field = fields.get("vector") if isinstance(fields, dict) else None
    return isinstance(field, dict) and field.get("type") == "binary"

"""Report the settings of an index: the values that apply, their origins, and what is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from opensearch.client import OpenSearchClient, index_path
from opensearch.errors import DeniedError, IndexMissingError, MappingError, MissingError, RefusedError
from opensearch.index import mapping, metadata
from opensearch.index.doc_value_fields import find_doc_value_problems
from opensearch.index.metadata import Index
from opensearch.rawjson.validation import InvalidError
from opensearch.settings.layers import (
    BundleDefaults,
    Defaults,
    EffectiveSetting,
    apply_defaults,
    effective_settings,
)
from opensearch.settings.rules import document_path, parse_rule_list
from opensearch.settings.search_pipeline import SearchPipeline, pipeline_target, read_pipeline
from opensearch.settings.table import META_KEY, RerankSettings, SettingsError
from opensearch.settings.target import IndexRecord, find_problem
from opensearch.settings.validation import parse_settings

NOT_ENABLED = "not enabled: its mapping has no settings under _meta.rerank"


@dataclass(frozen=True)
class SettingsReport:
    """One concrete index. `settings` is empty if they are invalid or there are none."""

    index: str
    settings: tuple[EffectiveSetting, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the machine-readable form."""
        settings = {each.name: {"value": each.value, "from": each.origin} for each in self.settings}
        return {"settings": settings, "problems": list(self.problems), "notes": list(self.notes)}


@dataclass(frozen=True)
class TemplateSettings:
    """A template's `_meta.rerank`, empty if there is none; `note` says why it could not be read."""

    rerank: dict[str, Any] = field(default_factory=dict)
    note: str | None = None


def report_settings(
    client: OpenSearchClient, name: str, defaults: Defaults, bundle: BundleDefaults | None = None
) -> list[SettingsReport]:
    """Report on every concrete index behind a name, alias, data stream or pattern.

    `bundle` says what holds for settings that come with it.

    Raises:
        IndexMissingError: there is none.
        RequestError: OpenSearch cannot be asked.
    """
    found = metadata.find_indices(client, name)
    if not found:
        raise IndexMissingError(f"no index {name!r}. Create it with: twinrank enable {name} --field FIELD")
    return [_report_index(client, index, defaults, bundle) for index in found]


def _report_index(
    client: OpenSearchClient, index: Index, defaults: Defaults, bundle: BundleDefaults | None
) -> SettingsReport:
    rerank = index.meta.get(META_KEY)
    problem = find_problem(IndexRecord(rerank, mapping.is_overwritten(index)), defaults)
    if rerank is None or problem is not None:
        problems = () if problem is None else (problem,)
        return SettingsReport(index.name, (), problems, () if problems else (NOT_ENABLED,))
    template = read_template_settings(client, index)
    report = _report_valid(client, index, rerank, template, defaults, bundle)
    wrong = find_document_problem(client, parse_settings(apply_defaults(defaults, rerank)))
    return report if wrong is None else replace(report, problems=(*report.problems, wrong))


def _report_valid(
    client: OpenSearchClient,
    index: Index,
    rerank: dict[str, Any],
    template: TemplateSettings,
    defaults: Defaults,
    bundle: BundleDefaults | None,
) -> SettingsReport:
    settings = parse_settings(apply_defaults(defaults, rerank))
    values = effective_settings(settings, rerank, template.rerank, defaults, bundle)
    problems, notes = [], [] if template.note is None else [template.note]
    try:
        if not mapping.check_settings(index, settings):
            problems.append(f"{settings.field} is not mapped: twinrank enable {index.name}")
    except MappingError as error:
        problems.append(str(error))
    problems += find_doc_value_problems(index, settings)
    try:
        parse_settings(rerank)
    except SettingsError as error:  # only the server's defaults make it whole
        notes.append(f"valid only with this server's defaults: {error}")
    notes += _note_pipeline(client, index, settings.pipelines_allowed)
    return SettingsReport(index.name, tuple(values), tuple(problems), tuple(notes))


def _note_pipeline(client: OpenSearchClient, index: Index, allowed: Sequence[str]) -> list[str]:
    """Return what is to be known about the index's default search pipeline."""
    name = index.search_pipeline
    if name is None or name in allowed:
        return []
    try:
        found = read_pipeline(client.request("GET", pipeline_target(name)).get(name))
    except DeniedError as error:
        return [f"its default search pipeline {name} may keep searches from being reranked: {error}"]
    except RefusedError:
        found = SearchPipeline()
    why = f"its default search pipeline {name} keeps searches from being reranked"
    return [] if found.only_combines else [why]


def find_document_problem(client: OpenSearchClient, settings: RerankSettings) -> str | None:
    """Return what is wrong with the document of `rules_from`, None if nothing is.

    Raises:
        RequestError: OpenSearch cannot be asked.
    """
    name = settings.rules_from
    if name is None:
        return None
    try:
        parse_rule_list(client.request("GET", document_path(name)).get("_source"), name)
    except InvalidError as error:
        return f"rules_from: {error}"
    except (IndexMissingError, MissingError):
        return f"rules_from: expected a document, found none at {name}. Write it, or leave `rules_from` out"
    except DeniedError as error:
        return f"rules_from: {name} cannot be read: {error}"
    return None


def read_template_settings(client: OpenSearchClient, index: Index) -> TemplateSettings:
    """Return the settings in the template that a new index of this name would be made from.

    Raises:
        RequestError: OpenSearch cannot be asked.
    """
    try:
        composed = client.request("POST", _simulation_path(client, index))
    except (DeniedError, RefusedError) as error:
        return TemplateSettings(
            note=f"index templates cannot be read, so no value is said to come from one: {error}"
        )
    rerank = composed.get("template", {}).get("mappings", {}).get("_meta", {}).get(META_KEY, {})
    return TemplateSettings(rerank if isinstance(rerank, dict) else {})


def _simulation_path(client: OpenSearchClient, index: Index) -> str:
    """OpenSearch simulates by the name of an index, but refuses the name of a data stream that is there."""
    if index.data_stream is None:
        return f"/_index_template/_simulate_index{index_path(index.name)}"
    [stream] = client.request("GET", f"/_data_stream{index_path(index.data_stream)}")["data_streams"]
    return f"/_index_template/_simulate{index_path(stream['template'])}"

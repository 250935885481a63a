"""Start and stop the experiment of an index, in its mapping."""

from collections.abc import Mapping
from typing import Any

from opensearch.client import OpenSearchClient
from opensearch.errors import IndexMissingError
from opensearch.index import mapping, metadata
from opensearch.index.metadata import Index
from opensearch.settings.table import META_KEY, RerankSettings, SettingsError, encode_settings
from opensearch.settings.validation import SettingsSource, parse_settings

_GIVEN = SettingsSource(f"_meta.{META_KEY}", "Nothing was changed: correct what you set, and try again")


def read_experiments(client: OpenSearchClient, name: str) -> dict[str, RerankSettings]:
    """Return the settings of every index behind a name.

    Raises:
        IndexMissingError: there is none.
        SettingsError: an index is not enabled, or its settings are not valid.
        RequestError: OpenSearch cannot be asked.
    """
    return {index.name: index.rerank_settings() for index in _find(client, name)}


def start_experiment(
    client: OpenSearchClient, name: str, experiment: Mapping[str, Any], *, dry_run: bool = False
) -> dict[str, RerankSettings]:
    """Start an experiment on every index behind a name; all are checked before the first one is changed.

    Returns:
        The settings that hold afterwards, or would.

    Raises:
        SettingsError: one runs already, an index is not enabled, or the experiment is not valid.
        IndexMissingError, MappingError, RequestError: as `enable`.
    """
    plans = {index.name: _plan_start(index, experiment) for index in _find(client, name)}
    return _write(client, plans, dry_run=dry_run)


def stop_experiment(
    client: OpenSearchClient, name: str, *, dry_run: bool = False
) -> dict[str, RerankSettings]:
    """Stop the experiment of every index behind a name that has one.

    Returns:
        The settings that held before, of the indices that had one.

    Raises:
        SettingsError: none has one.
        IndexMissingError, MappingError, RequestError: as `enable`.
    """
    running = {
        index: settings
        for index, settings in read_experiments(client, name).items()
        if settings.experiment.name is not None
    }
    if not running:
        raise SettingsError(f"{name}: expected an experiment that runs, found none: nothing to stop")
    plans = {index: _without_experiment(settings) for index, settings in running.items()}
    _write(client, plans, dry_run=dry_run)
    return running


def _plan_start(index: Index, experiment: Mapping[str, Any]) -> RerankSettings:
    before = index.rerank_settings()
    if before.experiment.name is not None:
        raise SettingsError(
            f"{index.name}: expected no experiment, found {before.experiment.name!r}, which runs: two at once"
            f" would disturb each other. Stop it first: twinrank experiment stop {index.name}"
        )
    return parse_settings(encode_settings(before) | {"experiment": dict(experiment)}, _GIVEN)


def _without_experiment(settings: RerankSettings) -> RerankSettings:
    written = encode_settings(settings)
    written.pop("experiment", None)
    return parse_settings(written, _GIVEN)


def _write(
    client: OpenSearchClient, plans: dict[str, RerankSettings], *, dry_run: bool
) -> dict[str, RerankSettings]:
    for name, settings in () if dry_run else plans.items():
        mapping.write(client, name, settings.managed_field, encode_settings(settings))
    return plans


def _find(client: OpenSearchClient, name: str) -> list[Index]:
    found = metadata.find_indices(client, name)
    if not found:
        raise IndexMissingError(f"no index {name!r}. Create it with: twinrank enable {name} --field FIELD")
    return found

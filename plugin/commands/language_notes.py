"""The languages of an index: warnings from a sample of its documents, and what is written to its settings."""

import click
import msgspec

from indexer.language_sample import LanguageSample, sample_languages
from opensearch.client import OpenSearchClient
from opensearch.errors import OpenSearchError
from opensearch.index import mapping, metadata
from opensearch.settings.table import META_KEY, RerankSettings, SettingsError, encode_settings
from reranker.bundle import Bundle
from reranker.language_identifier import release_tables


def check_languages(
    upstream: OpenSearchClient, index: str, settings: RerankSettings, bundle: Bundle
) -> str | None:
    """Return a warning if much of an index is in scripts or languages that the bundle does not read."""
    sample = _sample(upstream, index, settings, bundle)
    scripts = bundle.load_scripts()
    return None if sample is None or scripts is None else sample.warning(bundle.name, scripts.languages)


def record_languages(
    upstream: OpenSearchClient, index: str, settings: RerankSettings, bundle: Bundle
) -> None:
    """Print that warning on standard error, and write the languages of a concrete index to its settings.

    They are written if the bundle does not read all of them, or if others are written there.
    """
    sample, scripts = _sample(upstream, index, settings, bundle), bundle.load_scripts()
    if sample is None or scripts is None:
        return
    warning, found = sample.warning(bundle.name, scripts.languages), sample.find_settings(scripts.languages)
    if warning is not None:
        click.echo(f"{index}: {warning}", err=True)
    if found != settings.index_languages:
        written = msgspec.structs.replace(settings, index_languages=found)
        try:
            mapping.write(upstream, index, settings.managed_field, encode_settings(written))
        except OpenSearchError as error:  # searches are still judged by their scripts
            click.echo(f"{index}: its languages were not written to its settings: {error}", err=True)


def record_all_languages(upstream: OpenSearchClient, name: str, bundle: Bundle) -> None:
    """Do that for each enabled index behind a name; a sync that follows it does not keep the tables."""
    for index in metadata.find_indices(upstream, name):
        if META_KEY not in index.meta:
            continue
        try:
            record_languages(upstream, index.name, index.rerank_settings(), bundle)
        except SettingsError:  # the command itself reports them
            continue
    release_tables()


def _sample(
    upstream: OpenSearchClient, index: str, settings: RerankSettings, bundle: Bundle
) -> LanguageSample | None:
    if settings.for_model(bundle.vectors_of) is None:  # another bundle's index: its languages are unknown
        return None
    return sample_languages(upstream, index, settings, bundle.load_scripts())

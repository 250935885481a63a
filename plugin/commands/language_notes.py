"""Warnings about the languages of an index, from a sample of its documents."""

import click

from indexer.language_sample import find_language_warning
from opensearch.client import OpenSearchClient
from opensearch.index import metadata
from opensearch.settings.table import META_KEY, RerankSettings, SettingsError
from reranker.bundle import Bundle


def check_languages(
    upstream: OpenSearchClient, index: str, settings: RerankSettings, bundle: Bundle
) -> str | None:
    """Return a warning if much of an index is in scripts that the bundle does not read, else None."""
    if settings.for_model(bundle.vectors_of) is None:  # another bundle's index: its languages are unknown
        return None
    return find_language_warning(upstream, index, settings, bundle.name, bundle.load_scripts())


def print_language_warning(
    upstream: OpenSearchClient, index: str, settings: RerankSettings, bundle: Bundle
) -> None:
    """Print that warning on standard error."""
    warning = check_languages(upstream, index, settings, bundle)
    if warning is not None:
        click.echo(f"{index}: {warning}", err=True)


def print_language_warnings(upstream: OpenSearchClient, name: str, bundle: Bundle) -> None:
    """Print that warning for each enabled index behind a name."""
    for index in metadata.find_indices(upstream, name):
        if META_KEY not in index.meta:
            continue
        try:
            print_language_warning(upstream, index.name, index.rerank_settings(), bundle)
        except SettingsError:  # the command itself reports them
            continue

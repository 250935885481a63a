"""The field policies of a bundle: it fills its own vector field, and keeps the other one current or empty."""

import click

from indexer.enricher import Encode, Enricher
from indexer.vector_fields import FieldPolicy, KeepCurrent
from opensearch.index.metadata import Index
from opensearch.settings.table import RerankSettings
from reranker.bundle import Bundle


def find_settings(index: Index, bundle: Bundle) -> RerankSettings:
    """Return an index's settings with the bundle's own vector field as the first one.

    During a migration that is the second field for one of the two bundles.

    Raises:
        SettingsError: the index has no valid settings, or its vectors are its own.
        click.ClickException: no field of the index holds vectors of this bundle.
    """
    settings = index.rerank_settings()
    settings.check_managed(
        index.name, "Write documents as before; docs/how-to/existing-vectors.md says what Twinrank checks"
    )
    for each in (settings, settings.second):
        if each is not None and each.model == bundle.vectors_of:
            return each
    raise click.ClickException(
        f"{index.name}: expected the bundle {settings.model}, as its settings say, found {bundle.vectors_of}."
        f" Give its folder with --bundle, or: twinrank migrate {index.name} --to FOLDER"
    )


def build_field_policies(index: Index, bundle: Bundle, encode: Encode) -> list[FieldPolicy]:
    """Return the policies of an index's vector fields, the bundle's own first.

    Raises:
        SettingsError, click.ClickException: as `find_settings`.
    """
    settings = find_settings(index, bundle)
    policies: list[FieldPolicy] = [Enricher(encode, bundle.model_tag, settings)]
    if settings.second is not None:
        policies.append(KeepCurrent(settings.second))
    return policies

"""`twinrank verify`."""

import json
from pathlib import Path

import click

from indexer.audit import Audit, judge_vector
from opensearch.changes import snapshot
from opensearch.client import OpenSearchClient
from opensearch.errors import DeniedError, IndexMissingError
from opensearch.fields import stored_vectors
from opensearch.index import metadata
from opensearch.index.metadata import Index
from opensearch.settings.table import META_KEY
from plugin.commands.connection import open_client
from plugin.commands.field_policies import find_settings
from plugin.commands.progress import Show, show_progress
from plugin.options.common import bundle_option, json_option
from plugin.options.upstream import connection_options
from plugin.upstream.connecting import Connecting
from reranker.bundle import Bundle


@click.command("verify")
@click.argument("index")
@json_option
@bundle_option
@connection_options
def verify_command(index: str, as_json: bool, bundle_path: Path, connecting: Connecting) -> None:
    """Check the vector of every document of INDEX. Changes nothing.

    Exit status 1 if a vector is stale: encoded from a text that the document no longer has.
    """
    bundle = Bundle.open(bundle_path)
    with open_client(connecting) as upstream:
        found = [one for one in metadata.find_indices(upstream, index) if META_KEY in one.meta]
        if not found:
            raise IndexMissingError(
                f"expected an index {index} with settings, found none."
                f" Write them with: twinrank enable {index} --field FIELD"
            )
        with show_progress(hidden=as_json) as show:
            audits = {one.name: _audit(upstream, one, bundle, show) for one in found}
    if as_json:
        click.echo(json.dumps({name: audit.as_json() for name, audit in audits.items()}))
    else:
        for name, audit in audits.items():
            click.echo(f"{name}: " + "\n".join(audit.lines()))
    if not all(audit.is_sound for audit in audits.values()):
        raise click.exceptions.Exit(1)


def _audit(upstream: OpenSearchClient, index: Index, bundle: Bundle, show: Show) -> Audit:
    settings = find_settings(index, bundle)
    try:
        metadata.refresh(upstream, index.name)
    except DeniedError as error:
        click.echo(f"{error}. Documents that are not yet refreshed are not checked", err=True)
    audit, total = Audit(), stored_vectors.count(upstream, index.name, settings.field).documents
    for stored in snapshot.read_documents(upstream, index, settings.field, settings.source_fields):
        audit.add(stored.id, judge_vector(stored, settings, bundle.model_tag))
        show(f"documents of {index.name}", audit.documents, total)
    return audit

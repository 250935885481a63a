"""`twinrank status`, and the next step that it and other commands name."""

import json
import os
from pathlib import Path
from typing import Any

import click

from indexer.coverage import Coverage, ModelIdentity, measure_coverage
from indexer.enricher import chunking_of
from indexer.estimate import estimate_s
from opensearch.client import OpenSearchClient
from opensearch.errors import RequestError
from plugin.commands.connection import open_client
from plugin.commands.language_notes import check_languages
from plugin.options.common import bundle_option, json_option
from plugin.options.upstream import connection_options
from plugin.upstream.connecting import Connecting
from reranker.bundle import Bundle
from reranker.errors import RerankerError


@click.command("status")
@click.argument("index")
@json_option
@bundle_option
@connection_options
def status_command(index: str, as_json: bool, bundle_path: Path, connecting: Connecting) -> None:
    """Show how many documents of INDEX have vectors, and what to do next."""
    bundle = Bundle.open(bundle_path)
    with open_client(connecting) as upstream:
        report = measure_status(upstream, index, bundle)
    if as_json:
        click.echo(json.dumps(report))
        return
    for key, value in report.items():
        if value is not None:
            click.echo(f"{key}: {value if not isinstance(value, dict) else json.dumps(value)}")


def measure_status(upstream: OpenSearchClient, index: str, bundle: Bundle) -> dict[str, Any]:
    """Return the coverage of the index that `index` writes to, with the next step and its estimate.

    `languages` warns if much of it is in scripts that the bundle does not read.

    Raises:
        SettingsError: the index has no valid settings.
        RequestError: OpenSearch cannot be asked.
    """
    model = ModelIdentity(bundle.vectors_of, bundle.model_tag)
    found = measure_coverage(upstream, index, model)
    languages = check_languages(upstream, found.index, found.settings, bundle)
    state = found.as_json(model, _estimate_sync_s(found, model, bundle))
    return {**state, "languages": languages, "bundle": bundle.label}


def find_next_step(upstream: OpenSearchClient, index: str, bundle: Bundle) -> str:
    """Return the next step, or the command that shows it if the user may not search the index."""
    try:
        return str(measure_status(upstream, index, bundle)["next"])
    except RequestError:
        return f"next: twinrank status {index}"


def _estimate_sync_s(found: Coverage, model: ModelIdentity, bundle: Bundle) -> float | None:
    """Return an estimate of a sync's seconds, None if there is nothing to measure."""
    if found.settings.model != model.name or not any(found.missing_texts):
        return None
    try:
        encode = bundle.load_document_encoder(threads=os.cpu_count() or 1)
        return estimate_s(found.missing_texts, found.num_missing, encode, chunking_of(found.settings))
    except RerankerError:  # the command that encodes reports a bundle that cannot encode
        return None

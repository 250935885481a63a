"""`twinrank estimate`: what vectors for an index take, measured on a sample of its documents."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import click

from indexer.document import text_of
from indexer.enricher import chunking_of
from indexer.estimate import INDEX_SHARE, CostEstimate, Interval, in_words, measure_texts
from opensearch.client import OpenSearchClient
from opensearch.fields import stored_vectors
from opensearch.index import metadata
from opensearch.index.metadata import Index
from opensearch.settings.table import META_KEY, RerankSettings
from plugin.commands.connection import open_client
from plugin.commands.field_policies import find_settings
from plugin.commands.progress import show_progress
from plugin.options.common import bundle_option, json_option
from plugin.options.upstream import connection_options
from plugin.upstream.connecting import Connecting
from reranker.bundle import Bundle


@click.command("estimate")
@click.argument("index")
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="NAME",
    help="Field whose text is encoded; repeatable. For an index that is not enabled yet.",
)
@click.option(
    "--price-per-core-hour",
    "price",
    type=click.FloatRange(0),
    metavar="DOLLARS",
    help="What an hour of one core costs. Without it, no cost is shown.",
)
@click.option(
    "--cores",
    type=click.IntRange(1),
    default=os.cpu_count(),
    show_default="those of this machine",
    help="Cores like this machine's that will work at once.",
)
@click.option(
    "--sample",
    "size",
    type=click.IntRange(1, 10_000),
    default=200,
    show_default=True,
    help="Documents to encode.",
)
@click.option(
    "--seconds",
    "budget_s",
    type=click.FloatRange(0, min_open=True),
    default=30.0,
    show_default=True,
    help="Stop the measurement after this much processor time.",
)
@json_option
@bundle_option
@connection_options
def estimate_command(
    index: str,
    fields: tuple[str, ...],
    price: float | None,
    cores: int,
    size: int,
    budget_s: float,
    as_json: bool,
    bundle_path: Path,
    connecting: Connecting,
) -> None:
    """Estimate what vectors for INDEX take: hours, core-hours, gigabytes and dollars.

    Encodes a random sample of the documents that lack a vector, on one core of this machine; of all
    documents, if every one has a vector. Writes nothing.
    """
    bundle = Bundle.open(bundle_path)
    with open_client(connecting) as upstream:
        found = metadata.find_write_index(upstream, index)
        settings = _choose_settings(found, fields, bundle)
        counts = stored_vectors.count(upstream, found.name, settings.field)
        texts = _sample_texts(
            upstream, found, settings, size, has_missing=counts.with_vector < counts.documents
        )
    if not texts:
        raise click.ClickException(f"{found.name}: expected documents to sample, found none")
    if not any(texts):
        raise click.ClickException(
            f"{found.name}: expected text in {', '.join(settings.source_fields)}, found none in"
            f" {len(texts)} documents. Name other fields with --field"
        )
    encode = bundle.load_document_encoder(threads=1)
    with show_progress(hidden=as_json) as show:
        sample = measure_texts(
            texts, encode, chunking_of(settings), budget_s,
            measured=lambda number: show("documents of the sample", number, len(texts)),
        )  # fmt: skip
    documents = (counts.documents - counts.with_vector) or counts.documents
    estimate = CostEstimate(documents, sample, cores, price)
    if as_json:
        click.echo(json.dumps({"index": found.name, "bundle": bundle.label, **estimate.as_json()}))
        return
    click.echo(f"{found.name}: {counts.documents:,} documents, {counts.with_vector:,} with a vector")
    for line in _describe(estimate, bundle):
        click.echo(line)


def _choose_settings(index: Index, fields: tuple[str, ...], bundle: Bundle) -> RerankSettings:
    """Return the index's own settings, or default ones for the fields that are given.

    Raises:
        SettingsError: the index has no settings, or none that are valid, and no field is given.
        click.ClickException: it has another model, and no field is given.
    """
    if fields:
        return RerankSettings(bundle.vectors_of, fields)
    if META_KEY not in index.meta:
        raise click.ClickException(
            f"{index.name}: expected settings, or the fields to encode, found neither."
            f" Give them: twinrank estimate {index.name} --field FIELD"
        )
    return find_settings(index, bundle)


def _sample_texts(
    upstream: OpenSearchClient, index: Index, settings: RerankSettings, size: int, *, has_missing: bool
) -> list[str]:
    sample = stored_vectors.sample_missing if has_missing else stored_vectors.sample_all
    sources = sample(upstream, index.name, settings, size)
    return [text_of(source, settings.source_fields) for source in sources]


def _describe(estimate: CostEstimate, bundle: Bundle) -> Iterator[str]:
    """Yield the estimate for people, a line a figure."""
    milliseconds = estimate.document_s.times(1000)
    yield (
        f"measured:    {len(estimate.sample):,} documents with {bundle.label} on one core here:"
        f" {_format(milliseconds)} ms of processor time each"
    )
    for name, number, seconds in estimate.by_length():
        yield f"             {name}: {number:,} of them, {seconds * 1000:.3g} ms each"
    yield f"to encode:   {estimate.documents:,} documents"
    yield f"core-hours:  {_format(estimate.core_hours)}"
    yield (
        f"hours:       {_format(estimate.hours)} on {estimate.cores} cores like this one"
        f" ({in_words(estimate.hours.value * 3600)})"
    )
    vectors = estimate.vector_gb
    yield f"vectors:     {_format(vectors)} GB, in the index about {_round(vectors.value * INDEX_SHARE)} GB"
    if estimate.dollars is not None:
        yield f"cost:        {_format(estimate.dollars)} dollars"


def _format(found: Interval) -> str:
    """Return a figure with its interval: `12.3 (11.8 to 12.9)`."""
    return f"{_round(found.value)} ({_round(found.low)} to {_round(found.high)})"


def _round(value: float) -> str:
    """Return three significant digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{float(f'{value:.3g}'):.10f}".rstrip("0").rstrip(".")

"""`twinrank index`."""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

import click
from rich.console import Console

from indexer.load.document_file import read_documents
from indexer.load.indexing import Events, Indexing
from indexer.load.summary import Rejection
from indexer.vector_fields import CombinedPolicy
from opensearch.index import metadata
from opensearch.index.ingest_pipelines import pipeline_notes
from opensearch.index.kept_source import KeptSource
from opensearch.index.write_obstacle import check_indexable
from plugin.commands.connection import open_client
from plugin.commands.field_policies import build_field_policies
from plugin.commands.progress import show_index_progress
from plugin.options.common import bundle_option, json_option
from plugin.options.upstream import connection_options
from plugin.upstream.connecting import Connecting
from reranker.bundle import Bundle

MAX_SHOWN_REJECTIONS = 20


@click.command("index")
@click.argument("index")
@click.argument("file", type=click.File("rb"))
@click.option("--rejects", type=click.File("w", lazy=True), help="Write rejected lines, with reasons, here.")
@click.option(
    "--threads",
    type=click.IntRange(1),
    default=os.cpu_count(),
    show_default="one a core",
    help="Of the encoder.",
)
@json_option
@bundle_option
@connection_options
def index_command(
    index: str,
    file: io.BufferedReader,
    rejects: IO[str] | None,
    threads: int,
    as_json: bool,
    bundle_path: Path,
    connecting: Connecting,
) -> None:
    """Index the documents of FILE with their vectors.

    FILE holds JSON lines, or another supported form; - is standard input.
    """
    bundle = Bundle.open(bundle_path)
    documents = read_documents(file)  # an unknown format is refused before any request
    with open_client(connecting) as upstream, show_index_progress(file, hidden=as_json) as (console, advance):
        target = metadata.find_write_index(upstream, index)
        check_indexable(target)
        policies = build_field_policies(target, bundle, bundle.load_document_encoder(threads=threads))
        for note in pipeline_notes(upstream, target, target.rerank_settings().source_fields):
            console.print(note, markup=False)
        events = Events(
            _make_rejection_printer(console, rejects),
            advance,
            lambda reason: console.print("Waiting:", reason),
        )
        keeps_source = KeptSource.from_mapping(target.mapping).is_whole
        indexing = Indexing(
            upstream, target.name, CombinedPolicy(*policies), events, keeps_source=keeps_source
        )
        summary = indexing.run(documents)
    click.echo(json.dumps(summary.as_json()) if as_json else summary.in_words())
    if not summary.is_complete:
        raise click.exceptions.Exit(1)


def _make_rejection_printer(console: Console, file: IO[str] | None) -> Callable[[Rejection], None]:
    """Return a function that prints the first rejections, and writes all of them to `file`."""
    shown = 0

    def tell(rejection: Rejection) -> None:
        nonlocal shown
        shown += 1
        if file:
            file.write(json.dumps(rejection.as_json()) + "\n")
        if shown <= MAX_SHOWN_REJECTIONS:
            console.print(f"line {rejection.line}: {rejection.reason}", markup=False)
        elif shown == MAX_SHOWN_REJECTIONS + 1 and not file:
            console.print("more lines are rejected; --rejects FILE writes them all")

    return tell

"""`twinrank enable`, `twinrank index` and `twinrank status`: arguments in, words out."""

import io
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any

import click
from rich.console import Console

from indexer.load.document_file import read_documents
from indexer.load.indexing import Events, Indexing
from indexer.load.summary import Rejection
from indexer.vector_fields import Fills
from opensearch.client import OpenSearchClient
from opensearch.index import metadata
from opensearch.index.enable import EnableRequest, EnableResult, enable
from opensearch.index.ingest_pipelines import pipeline_notes
from opensearch.index.kept_source import KeptSource
from opensearch.index.write_obstacle import check_indexable
from opensearch.settings.table import META_KEY, settings_meta
from plugin.commands.assignments import assigned
from plugin.commands.fills import fills_of
from plugin.commands.index_progress import progress_bar
from plugin.commands.language_notes import tell_languages
from plugin.commands.next_step import measured_status, next_step
from plugin.commands.options import bundle_option, json_option
from plugin.commands.upstream_options import connection_options
from plugin.upstream.connecting import Connecting
from reranker.bundle import Bundle

MAX_SHOWN_REJECTIONS = 20
MAX_SHOWN_NEXT = 5
"""Indices whose next step `enable` tells: each may take a second or two to measure."""


@click.command("enable")
@click.argument("index")
@click.option("--field", multiple=True, metavar="NAME", help="Field whose text is encoded; repeatable.")
@click.option("--model-name", metavar="NAME", help="Whose vectors.  [default: the name of --bundle]")
@click.option("--vector-field", metavar="NAME", help="Where vectors are stored.  [default: rerank.vector]")
@click.option("--window-size", type=int, help="How many first-stage hits are reranked.  [default: 100]")
@click.option("--weight", type=float, help="Weight of the crossing score.  [default: the bundle's]")
@click.option("--set", "more", multiple=True, metavar="NAME=VALUE", help="Any setting: min_coverage=0.9.")
@click.option("--dry-run", is_flag=True, help="Check and say what would change, but change nothing.")
@bundle_option
@connection_options
def enable_command(
    index: str,
    bundle_path: Path,
    connecting: Connecting,
    dry_run: bool,
    **given: Any,  # noqa: ANN401
) -> None:
    """Switch reranking on for INDEX; create it where there is none.

    What is not given stays as the index has it.
    """
    bundle = Bundle.open(bundle_path)
    wanted = EnableRequest(given["model_name"] or bundle.vectors_of, _settings_given(**given))
    with connected(connecting) as upstream:
        done = enable(upstream, index, wanted, dry_run=dry_run)
        for enabled in done:
            tell_enabled(enabled, word="enabled", dry_run=dry_run)
            tell_languages(upstream, enabled.index, enabled.settings, bundle)
        if not dry_run:
            _tell_next(upstream, [enabled.index for enabled in done], bundle_path)


@click.command("index")
@click.argument("index")
@click.argument("file", type=click.File("rb"))
@click.option("--rejects", type=click.File("w", lazy=True), help="Write rejected lines, with reasons, here.")
@click.option(
    "--threads", type=click.IntRange(1), default=os.cpu_count(), show_default=True, help="Of the encoder."
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
    """Index the documents of FILE (JSON lines or another form; - is standard input) with their vectors."""
    bundle = Bundle.open(bundle_path)
    documents = read_documents(file)  # another form is refused before anything is asked or written
    with connected(connecting) as upstream, progress_bar(file, hidden=as_json) as (console, advance):
        target = metadata.written_by(upstream, index)
        check_indexable(target)
        fills = fills_of(target, bundle, bundle.document_encoder(threads=threads))
        for note in pipeline_notes(upstream, target, target.rerank_settings().source_fields):
            console.print(note, markup=False)
        events = Events(
            _rejections(console, rejects), advance, lambda reason: console.print("Waiting:", reason)
        )
        keeps_source = KeptSource.of(target.mapping).is_whole
        indexing = Indexing(upstream, target.name, Fills(*fills), events, keeps_source=keeps_source)
        summary = indexing.run(documents)
    click.echo(json.dumps(summary.as_json()) if as_json else summary.in_words())
    if not summary.complete:
        raise click.exceptions.Exit(1)


@click.command("status")
@click.argument("index")
@json_option
@bundle_option
@connection_options
def status_command(index: str, as_json: bool, bundle_path: Path, connecting: Connecting) -> None:
    """Say how far INDEX is covered with vectors, and what to do next."""
    bundle = Bundle.open(bundle_path)
    with connected(connecting) as upstream:
        report = measured_status(upstream, index, bundle)
    if as_json:
        click.echo(json.dumps(report))
        return
    for key, value in report.items():
        if value is not None:
            click.echo(f"{key}: {value if not isinstance(value, dict) else json.dumps(value)}")


@contextmanager
def connected(connecting: Connecting) -> Iterator[OpenSearchClient]:
    """Yield a client whose failures are told by us alone."""
    # The library logs every failed request; we say ourselves what failed, or try again.
    logging.getLogger("opensearch").setLevel(logging.CRITICAL)
    with closing(connecting.client()) as upstream:
        yield upstream


def _settings_given(
    field: tuple[str, ...],
    model_name: str | None,
    vector_field: str | None,
    window_size: int | None,
    weight: float | None,
    more: tuple[str, ...],
) -> dict[str, Any]:
    """Return what was given, in the form of `_meta.rerank`."""
    settings = {
        "source_fields": field or None,
        "model": model_name,
        "field": vector_field,
        "window_size": window_size,
        "fusion": None if weight is None else {"weight": weight},
    }
    given = {key: value for key, value in settings.items() if value is not None}
    return assigned({"enabled": True} | given, more)


def _tell_next(upstream: OpenSearchClient, names: Sequence[str], bundle_path: Path) -> None:
    """Print what to do next with each index, as far as the bundle at hand can tell."""
    if len(names) > MAX_SHOWN_NEXT:
        click.echo("next: twinrank status INDEX says how far each index is, and what to do")
        return
    for name in names:
        click.echo(f"{name}: {next_step(upstream, name, Bundle.open(bundle_path))}")
    click.echo("To rebuild the index later and keep its vectors (_reindex, alias swap): docs/reindex.md")


def tell_enabled(enabled: EnableResult, *, word: str, dry_run: bool) -> None:
    """Print what became of an index, or would become; a dry run shows the mapping change too."""
    click.echo(f"{enabled.index}: {'would be changed' if dry_run else word}")
    for change in enabled.changes or ("nothing to change",):
        click.echo(f"  {change}")
    if dry_run:
        meta = {"_meta": {META_KEY: settings_meta(enabled.settings)}}
        click.echo(f"  PUT /{enabled.index}/_mapping {json.dumps(meta)} (beside what else `_meta` holds)")
    for note in enabled.notes:
        click.echo(f"  note: {note}", err=True)
    if enabled.vectors_stale:
        click.echo(
            f"  note: vectors stored before no longer fit; next: twinrank sync {enabled.index}",
            err=True,
        )


def _rejections(console: Console, file: IO[str] | None) -> Callable[[Rejection], None]:
    """Return what shows a rejection, as long as they are few, and writes it to `file`."""
    shown = 0

    def tell(rejection: Rejection) -> None:
        nonlocal shown
        shown += 1
        if file:
            file.write(json.dumps(rejection.as_json()) + "\n")
        if shown <= MAX_SHOWN_REJECTIONS:
            console.print(f"line {rejection.line}: {rejection.reason}", markup=False)
        elif shown == MAX_SHOWN_REJECTIONS + 1 and not file:
            console.print("more lines are rejected; --rejects FILE keeps them all")

    return tell

"""`twinrank judgments`."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import click

from plugin.clicks.click_judgements import MIN_IMPRESSIONS, judge_clicks
from plugin.clicks.click_log import ClickLog, ClientCaps, LogCounts
from plugin.clicks.corpus_file import write_corpus
from plugin.clicks.judgement_files import BEIR, FORMS, write_judgements
from plugin.clicks.known_documents import KnownDocuments
from plugin.clicks.ubi_records import (
    NoRecordsError,
    RecordFilter,
    read_clicks,
    read_pages,
)
from plugin.commands.connection import open_client
from plugin.commands.progress import Show, show_progress
from plugin.commands.temporary_folder import check_temporary_folder
from plugin.compare.source_fields import find_source_fields
from plugin.options.common import json_option
from plugin.options.upstream import connection_options
from plugin.ubi.indices import EVENTS, QUERIES
from plugin.upstream.connecting import Connecting

_T = TypeVar("_T")


@click.command("judgments")
@click.argument("index")
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="FOLDER",
    help="Where to write.  [default: this folder]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMS)),
    default="csv",
    show_default=True,
    help="For spreadsheets, in BEIR layout, or to import into Search Relevance Workbench.",
)
@click.option(
    "--field",
    "fields",
    multiple=True,
    help="Field of a document's text, for --format beir.  [default: the source fields]",
)
@click.option(
    "--id-field",
    metavar="FIELD",
    help="Keyword field by which records name a document, UBI's object_id_field.  [default: its _id]",
)
@click.option(
    "--min-impressions",
    type=click.IntRange(min=1),
    default=MIN_IMPRESSIONS,
    show_default=True,
    help="Judge a document that was shown at least so often for a query.",
)
@click.option(
    "--client-query-cap",
    type=click.IntRange(min=1),
    default=ClientCaps.searches_a_query,
    show_default=True,
    help="Most searches of one query that count for one client.",
)
@click.option(
    "--client-cap",
    type=click.IntRange(min=1),
    default=ClientCaps.searches,
    show_default=True,
    help="Most searches that count for one client.",
)
@click.option("--since", metavar="DATE", help="Only records since then: 2026-11-01, or now-30d.")
@click.option("--application", metavar="NAME", help="Only records of this UBI application.")
@click.option("--action", default="click", show_default=True, help="The action_name that counts as a click.")
@click.option(
    "--ubi-queries",
    "queries_index",
    default=QUERIES,
    show_default=True,
    metavar="INDEX",
    help="Where the searches are recorded.",
)
@click.option(
    "--ubi-events",
    "events_index",
    default=EVENTS,
    show_default=True,
    metavar="INDEX",
    help="Where the clicks are recorded.",
)
@json_option
@connection_options
def judgments_command(
    index: str,
    folder: Path,
    form: str,
    fields: tuple[str, ...],
    id_field: str | None,
    min_impressions: int,
    client_query_cap: int,
    client_cap: int,
    since: str | None,
    application: str | None,
    action: str,
    queries_index: str,
    events_index: str,
    as_json: bool,
    connecting: Connecting,
) -> None:
    """Make judgements of INDEX's documents from recorded clicks.

    Reads what User Behavior Insights recorded. A document's grade, 0 to 3, is its clicks over those expected
    at the places where it was shown. `evaluate`, `gate` and `tune` read the files.
    """
    check_temporary_folder()
    chosen, caps = RecordFilter(application, since), ClientCaps(client_query_cap, client_cap)
    with (
        open_client(connecting) as client,
        tempfile.TemporaryDirectory(prefix="twinrank-clicks-") as temporary,
        ClickLog.open(Path(temporary) / "clicks.sqlite", caps) as log,
        show_progress(hidden=as_json) as show,
    ):
        if form == BEIR:
            fields = fields or find_source_fields(client, index)
            if not fields:
                raise click.UsageError(f"expected --field FIELD, since {index} has no source fields")
        log.add_clicks(_count(read_clicks(client, events_index, chosen, action), "clicks", show))
        log.add_pages(_count(read_pages(client, queries_index, chosen), "searches", show))
        known = KnownDocuments(client, index, id_field)
        judged = judge_clicks(log.read_tallies(min_impressions))
        files = list(write_judgements(folder, form, known.keep(judged)))
        if form == BEIR:
            files.append(write_corpus(folder, client, index, fields, known.find_ids(log.read_documents())))
    if as_json:
        counts = {**asdict(log.counts), "judged": known.num_kept, "not_in_index": known.num_missing}
        click.echo(json.dumps({**counts, "files": [str(file) for file in files]}))
    else:
        for line in _describe(log.counts, known, index, min_impressions):
            click.echo(line)
        click.echo(f"Written: {', '.join(str(file) for file in files)}")
    if not known.num_kept:
        raise NoRecordsError(
            f"expected documents of {index} that were shown at least {min_impressions} times for a query,"
            " found none. Lower --min-impressions, or wait for more searches"
        )


def _count(items: Iterable[_T], what: str, show: Show) -> Iterator[_T]:
    """Yield the items, and show how many there were."""
    for number, item in enumerate(items, 1):
        yield item
        show(what, number, None)


def _describe(counts: LogCounts, known: KnownDocuments, index: str, min_impressions: int) -> Iterator[str]:
    """Yield what was read, and everything that did not count, with its number."""
    yield f"{counts.pages:,} recorded searches, {counts.clicks:,} clicks"
    yield (f"{known.num_kept:,} documents judged, each shown at least {min_impressions} times for its query")
    told = (
        (counts.unusable_pages, "searches without a text (ext.ubi.user_query) or without hits"),
        (counts.unusable_clicks, "clicks without a query_id or an object_id"),
        (counts.clicks_without_impression, "clicks on a document that no recorded search showed"),
        (counts.capped_pages, f"searches of {counts.capped_clients:,} clients beyond what counts for one"),
        (known.num_missing, f"judgements of documents that are not in {index}"),
    )
    yield from (f"Left out: {number:,} {words}" for number, words in told if number)

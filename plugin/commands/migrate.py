"""`twinrank migrate`."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from indexer import migration
from indexer.sync.summary import SyncSummary
from indexer.vector_fields import Clear
from opensearch.client import OpenSearchClient
from opensearch.index.metadata import Index
from opensearch.index.write_obstacle import check_writable
from opensearch.settings.table import RerankSettings
from plugin.commands.connection import open_client
from plugin.commands.progress import show_progress
from plugin.commands.sync import SyncOptions, run_sync
from plugin.options.common import find_bundle_folder, json_option
from plugin.options.upstream import connection_options
from plugin.upstream.connecting import Connecting
from reranker.bundle import Bundle

PROXIES_FOLLOW_S = 2.5
"""Proxies follow a change of settings within about a second. After this time they all hide the second field,
and it can be filled."""

_STEPS = ("fill", "status", "cutover", "rollback", "cleanup")


@click.command("migrate")
@click.argument("index")
@click.argument("step", type=click.Choice(_STEPS), default="fill")
@click.option("--to", "to", type=find_bundle_folder, metavar="FOLDER", help="The new model's bundle.")
@click.option(
    "--vector-field", metavar="NAME", help="The second field.  [default: the first one's name and _2]"
)
@click.option(
    "--coverage",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="For cutover: the share of documents with text that must have a current new vector.",
)
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), help="Write at most this many documents a second."
)
@json_option
@connection_options
def migrate_command(
    index: str,
    step: str,
    to: Path | None,
    vector_field: str | None,
    coverage: float,
    rate: float | None,
    as_json: bool,
    connecting: Connecting,
) -> None:
    """Change the model of INDEX while it is searched and written.

    fill (the default): write the new model's vectors to a second field. status: show the progress. cutover:
    use the new vectors in searches. rollback: use the old ones again, at once. cleanup: remove what is no
    longer used.
    """
    bundle = Bundle.open(to) if to is not None else None
    options = SyncOptions(rate=rate, as_json=as_json)
    with open_client(connecting) as upstream:
        found = migration.find_enabled(upstream, index)
        if step == "fill":
            new = _require_bundle(bundle)
            check_writable(found)
            begun = [_begin(upstream, one, new.vectors_of, vector_field, as_json=as_json) for one in found]
            if any(begun):
                time.sleep(PROXIES_FOLLOW_S)
            run_sync(connecting, index, new, options)
        elif step == "status":
            for line in _describe_status(upstream, found, bundle, as_json=as_json):
                click.echo(line)
        elif step == "cutover":
            new = _require_bundle(bundle)
            for one in found:
                with _show_documents(one, hidden=as_json) as progress:
                    settings = migration.cut_over(upstream, one, new.model_tag, coverage, progress)
                _print_fields(one, settings, as_json=as_json)
        elif step == "rollback":
            for one in found:
                _print_fields(one, migration.roll_back(upstream, one), as_json=as_json)
        else:
            _clean_up(upstream, connecting, found, options)


def _begin(upstream: OpenSearchClient, index: Index, model: str, field: str | None, *, as_json: bool) -> bool:
    """Write the second field and its model to an index's settings; return whether that changed anything."""
    before = index.rerank_settings()
    after = migration.begin(upstream, index, model, field)
    _print_fields(index, after, as_json=as_json)
    return after != before


def _require_bundle(bundle: Bundle | None) -> Bundle:
    if bundle is None:
        raise click.UsageError("expected the new model's bundle: --to FOLDER")
    return bundle


def _print_fields(index: Index, settings: RerankSettings, *, as_json: bool) -> None:
    if not as_json:
        other = settings.migration
        click.echo(
            f"{index.name}: searches use {settings.field} of {settings.model}; {other.field} of {other.model}"
            f" is {'kept for a rollback' if other.cut_over else 'being filled'}"
        )


def _describe_status(
    upstream: OpenSearchClient, found: list[Index], bundle: Bundle | None, *, as_json: bool
) -> Iterator[str]:
    for one in found:
        report = dict(migration.describe_state(one))
        settings = one.rerank_settings()
        for each in (settings, settings.second):
            if bundle is not None and each is not None and each.model == bundle.vectors_of:
                with _show_documents(one, hidden=as_json) as progress:
                    share, audit = migration.measure_coverage(upstream, one, each, bundle.model_tag, progress)
                report |= {"coverage": round(share, 6), "audit": audit.as_json()}
        yield json.dumps(report) if as_json else "\n".join(_format_report(report))


def _format_report(report: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each entry that has a value; objects are JSON, as in other commands."""
    for key, value in report.items():
        if value is not None:
            yield f"{key}: {json.dumps(value) if isinstance(value, dict) else value}"


@contextmanager
def _show_documents(index: Index, *, hidden: bool) -> Iterator[Callable[[int, int], None]]:
    """Show how many documents of an index have been read."""
    with show_progress(hidden=hidden) as show:
        yield lambda done, total: show(f"documents of {index.name}", done, total)


def _clean_up(
    upstream: OpenSearchClient, connecting: Connecting, found: list[Index], options: SyncOptions
) -> SyncSummary | None:
    check_writable(found)
    summary = None
    for one in found:
        field = migration.forget(upstream, one)
        summary = run_sync(connecting, one.name, [Clear(field)], options)
    return summary

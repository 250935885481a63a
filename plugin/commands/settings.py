"""`twinrank settings`, `disable` and `explain`: arguments in, words out."""

import json
from contextlib import closing
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from opensearch.index.enable import disable
from opensearch.index.settings_report import SettingsReport, settings_report
from opensearch.index.strip import check_strip, strip
from opensearch.settings.layers import Defaults
from plugin.commands.explain import explanation_report
from plugin.commands.index import connected, tell_enabled
from plugin.commands.options import bundle_option, json_option, settings_file_option
from plugin.commands.progress_lines import Show, shown_progress
from plugin.commands.search_argument import body_or_text
from plugin.commands.terminal import fitted_console
from plugin.commands.upstream_options import connection_options
from plugin.encoding.model import Model
from plugin.search.explain import Asked, explain, search_door
from plugin.settings.cache import SettingsCache
from plugin.upstream.connecting import Connecting
from reranker.bundle import Bundle


@click.command("settings")
@click.argument("index")
@settings_file_option
@json_option
@connection_options
def settings_command(index: str, defaults: Defaults, as_json: bool, connecting: Connecting) -> None:
    """Show every setting of INDEX, where each value comes from, and what is wrong.

    Exit status 1 where something is wrong.
    """
    with connected(connecting) as upstream:
        reports = settings_report(upstream, index, defaults)
    if as_json:
        click.echo(json.dumps({report.index: report.as_json() for report in reports}))
    else:
        for report in reports:
            _tell(report)
    if any(report.problems for report in reports):
        raise click.exceptions.Exit(1)


@click.command("disable")
@click.argument("index")
@click.option("--strip", "strips", is_flag=True, help="Also remove the stored vectors, document by document.")
@click.option("--documents-per-s", type=click.FloatRange(min=0.1), help="Pace of --strip.  [default: none]")
@click.option("--dry-run", is_flag=True, help="Say what would change, but change nothing.")
@connection_options
def disable_command(
    index: str, strips: bool, documents_per_s: float | None, dry_run: bool, connecting: Connecting
) -> None:
    """Switch reranking off for INDEX. Its settings stay, and so do its vectors without --strip."""
    with connected(connecting) as upstream:
        if strips:
            check_strip(upstream, index)
        done = disable(upstream, index, dry_run=dry_run)
        for each in done:
            tell_enabled(each, word="disabled", dry_run=dry_run)
        left = 0
        for each in done if strips and not dry_run else ():
            for field in each.settings.fields:
                with shown_progress() as show:
                    stripped = strip(
                        upstream,
                        each.index,
                        field,
                        documents_per_s=documents_per_s,
                        progress=partial(_show_stripped, show, each.index),
                    )
                click.echo(f"{each.index}: {stripped.removed} vectors removed, {stripped.left} left")
                left += stripped.left
            click.echo(
                f"{each.index}: to rerank it again: twinrank enable {each.index}, then"
                f" twinrank sync {each.index}"
            )
    if left:
        raise click.ClickException(
            f"{left} documents changed each time that their vector was about to be removed; run it again"
        )


@click.command("explain")
@click.argument("index")
@click.argument("text")
@click.option("--size", default=10, show_default=True, type=click.IntRange(1, 100), help="Hits to show.")
@settings_file_option
@json_option
@bundle_option
@connection_options
def explain_command(
    index: str,
    text: str,
    size: int,
    defaults: Defaults,
    as_json: bool,
    bundle_path: Path,
    connecting: Connecting,
) -> None:
    """Show a search for TEXT in INDEX step by step. A TEXT that begins with { is the body of a search."""
    asked = Asked(index, *body_or_text(text), size)
    with connected(connecting) as client:
        reports = settings_report(client, index, defaults)
    with closing(connecting.upstream()) as upstream:
        settings = SettingsCache(upstream, defaults=defaults, waits_for_coverage=True)
        door = search_door(upstream, settings, Model.load(Bundle.open(bundle_path)))
        steps = explain(door, settings, connecting.credentials, asked, reports)
    if as_json:
        click.echo(json.dumps(steps))
        return
    console = fitted_console()
    for part in explanation_report(steps):
        console.print(part, markup=False)


def _show_stripped(show: Show, index: str, removed: int, total: int) -> None:
    show(f"vectors of {index}", removed, total)


def _tell(report: SettingsReport) -> None:
    if report.settings:
        table = Table("setting", "value", "from", title=report.index, title_justify="left", box=None)
        for each in report.settings:
            table.add_row(each.name, json.dumps(each.value), each.origin)
        Console(highlight=False).print(table)
    else:
        click.echo(report.index)
    for problem in report.problems:
        click.echo(f"  wrong: {problem}")
    for note in report.notes:
        click.echo(f"  note: {note}")

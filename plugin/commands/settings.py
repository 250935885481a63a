"""`twinrank settings`."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from opensearch.index.settings_report import SettingsReport, report_settings
from opensearch.settings.layers import OF_THE_BUNDLE, Defaults, EffectiveSetting
from plugin.commands.connection import open_client
from plugin.encoding.bundle_defaults import read_defaults
from plugin.experiments.arm_bundles import add_bundle_problems
from plugin.options.common import bundle_option, json_option, settings_file_option
from plugin.options.upstream import connection_options
from plugin.upstream.connecting import Connecting
from reranker.bundle import Bundle


@click.command("settings")
@click.argument("index")
@settings_file_option
@json_option
@bundle_option
@connection_options
def settings_command(
    index: str, defaults: Defaults, as_json: bool, bundle_path: Path, connecting: Connecting
) -> None:
    """Show every setting of INDEX, the source of each value, and any problems.

    Give the --settings and --bundle that the proxy is started with. Exit status 1 if there are problems.
    """
    bundle = Bundle.open(bundle_path)
    with open_client(connecting) as upstream:
        reports = report_settings(upstream, index, defaults, read_defaults(bundle))
    reports = add_bundle_problems(reports, bundle)
    if as_json:
        click.echo(json.dumps({report.index: report.as_json() for report in reports}))
    else:
        for report in reports:
            _print_report(report)
    if any(report.problems for report in reports):
        raise click.exceptions.Exit(1)


def _print_report(report: SettingsReport) -> None:
    if report.settings:
        table = Table("setting", "value", "from", title=report.index, title_justify="left", box=None)
        for each in report.settings:
            table.add_row(each.name, _shown(each), each.origin)
        Console(highlight=False).print(table)
    else:
        click.echo(report.index)
    for problem in report.problems:
        click.echo(f"  wrong: {problem}")
    for note in report.notes:
        click.echo(f"  note: {note}")


def _shown(setting: EffectiveSetting) -> str:
    """Return a setting's value as a person reads it."""
    if setting.value is None:
        return "the bundle's own" if setting.origin == OF_THE_BUNDLE else "not set"
    return json.dumps(setting.value, ensure_ascii=False)

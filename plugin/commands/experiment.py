"""`twinrank experiment`: start, look at, report on and stop the experiment of an index."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from opensearch.index.experiment import stop_experiment
from opensearch.settings.table import SettingsError, encode_settings
from plugin.commands.connection import open_client
from plugin.experiments.clicks import MAX_CLICKS
from plugin.experiments.lifecycle import ExperimentStatus, read_status, report_experiment, start
from plugin.experiments.report_text import format_report
from plugin.options.common import bundle_option, json_option
from plugin.options.upstream import connection_options
from plugin.upstream.connecting import Connecting
from reranker.bundle import Bundle

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("experiment")
def experiment_command() -> None:
    """Compare orders on the searches of INDEX, and learn from clicks which is better."""


@experiment_command.command("start")
@click.argument("index")
@click.option("--name", help="The experiment's name.")
@click.option("--mode", type=click.Choice(["split", "interleave", "shadow"]), help="[default: interleave]")
@click.option(
    "--arm",
    "arms",
    multiple=True,
    metavar="NAME=CHANGES",
    help='An arm: JSON of what it changes, such as {"fusion": {"weight": 5}} or {"bundle": "NAME"}, {} for'
    " nothing, or opensearch; repeatable.",
)
@click.option(
    "--control", metavar="NAME", help="The arm that the others are compared with.  [default: control]"
)
@click.option(
    "--share",
    type=float,
    help="Share of units that take part.  [default: 1.0]  For shadow with the control opensearch: share of"
    " searches that are compared.  [default: 0.05]",
)
@click.option("--unit-header", metavar="NAME", help="Header that names a unit if ext.ubi.client_id does not.")
@click.option("--file", type=_FILE, help="JSON with all of this, in the form of _meta.rerank.experiment.")
@click.option("--dry-run", is_flag=True, help="Check and show what would change, but change nothing.")
@bundle_option
@connection_options
def start_command(
    index: str,
    file: Path | None,
    dry_run: bool,
    bundle_path: Path,
    connecting: Connecting,
    **given: Any,  # noqa: ANN401
) -> None:
    """Start an experiment on INDEX, which is enabled. One experiment at a time.

    Creates ubi_queries and ubi_events if they are missing. If an arm names a bundle, give the --bundle that
    the proxy is started with.
    """
    experiment = _read_file(file) | collect_experiment(**given)
    own = Bundle.open(bundle_path) if _names_bundle(experiment) else None
    with open_client(connecting) as client:
        started = start(client, index, experiment, own, dry_run=dry_run)
    for created in started.created:
        click.echo(f"created {created}")
    for name, settings in started.settings.items():
        click.echo(f"{name}: {'would be started' if dry_run else 'started'}: {settings.experiment.name}")
        if dry_run:
            click.echo(f"  {json.dumps(encode_settings(settings)['experiment'])}")
    if not dry_run:
        click.echo(f"next: twinrank experiment report {index}, once there are clicks in ubi_events")


@experiment_command.command("status")
@click.argument("index")
@json_option
@connection_options
def status_command(index: str, as_json: bool, connecting: Connecting) -> None:
    """Show the experiment of INDEX, and how much is recorded of it."""
    with open_client(connecting) as client:
        found = read_status(client, index)
    if as_json:
        click.echo(json.dumps({each.index: each.as_json() for each in found}))
        return
    for each in found:
        _print_status(each)


@experiment_command.command("report")
@click.argument("index")
@click.option("--name", help="An experiment that has been stopped.  [default: the one that runs]")
@click.option("--run", metavar="RUN", help="A run of it, as status names them.  [default: the latest]")
@click.option(
    "--max-clicks",
    type=click.IntRange(min=1),
    default=MAX_CLICKS,
    show_default=True,
    help="Clicks of one unit that count.",
)
@json_option
@connection_options
def report_command(
    index: str, name: str | None, run: str | None, max_clicks: int, as_json: bool, connecting: Connecting
) -> None:
    """Say which arm of INDEX's experiment wins, from ubi_queries and ubi_events."""
    with open_client(connecting) as client:
        report = report_experiment(client, index, experiment=name, run=run, max_clicks=max_clicks)
    click.echo(json.dumps(report.as_json()) if as_json else format_report(report))


@experiment_command.command("stop")
@click.argument("index")
@click.option("--dry-run", is_flag=True, help="Show what would change, but change nothing.")
@connection_options
def stop_command(index: str, dry_run: bool, connecting: Connecting) -> None:
    """Stop the experiment of INDEX. What is recorded stays."""
    with open_client(connecting) as client:
        stopped = stop_experiment(client, index, dry_run=dry_run)
    for name, settings in stopped.items():
        experiment = settings.experiment.name
        click.echo(f"{name}: {'would be stopped' if dry_run else 'stopped'}: {experiment}")
        if not dry_run:
            click.echo(f"next: twinrank experiment report {index} --name {experiment}")


def collect_experiment(
    name: str | None,
    mode: str | None,
    arms: Sequence[str],
    control: str | None,
    share: float | None,
    unit_header: str | None,
) -> dict[str, Any]:
    """Return the given options in the form of `_meta.rerank.experiment`.

    Raises:
        SettingsError: an arm without a name or `=`, or given twice.
    """
    settings = {
        "name": name,
        "mode": mode,
        "arms": parse_arms(arms) or None,
        "control": control,
        "share": share,
        "unit": None if unit_header is None else {"header": unit_header},
    }
    return {key: value for key, value in settings.items() if value is not None}


def parse_arms(given: Sequence[str]) -> dict[str, Any]:
    """Return the arms of `NAME=CHANGES`; a value that is no JSON is a plain string.

    Raises:
        SettingsError: one without a name or `=`, or given twice.
    """
    arms: dict[str, Any] = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not equals or not name:
            raise SettingsError(f"--arm: expected NAME=CHANGES such as control={{}}, found {each!r}")
        if name in arms:
            raise SettingsError(f"--arm: expected each arm once, found {name!r} twice")
        try:
            arms[name] = json.loads(text)
        except ValueError:
            arms[name] = text
    return arms


def _names_bundle(experiment: Mapping[str, Any]) -> bool:
    """Whether an arm names a bundle; the form of the experiment is not checked yet."""
    arms = experiment.get("arms")
    return isinstance(arms, dict) and any(isinstance(arm, dict) and "bundle" in arm for arm in arms.values())


def _read_file(file: Path | None) -> dict[str, Any]:
    """Return the experiment in a file.

    Raises:
        SettingsError: it holds no JSON object.
    """
    if file is None:
        return {}
    try:
        found = json.loads(file.read_text())
    except (ValueError, OSError) as error:
        raise SettingsError(f"{file}: expected a JSON object, found: {error}") from error
    if not isinstance(found, dict):
        raise SettingsError(f"{file}: expected a JSON object, found {type(found).__name__}")
    return found


def _print_status(found: ExperimentStatus) -> None:
    experiment = found.experiment
    if experiment.name is None:
        click.echo(f"{found.index}: no experiment runs")
        return
    click.echo(f"{found.index}: {experiment.name} ({experiment.mode}) runs")
    for name, arm in found.as_json()["experiment"]["arms"].items():
        mark = " (control)" if name == experiment.control else ""
        click.echo(f"  arm {name}{mark}: {json.dumps(arm)}")
    if found.note:
        click.echo(f"  note: {found.note}")
    for run in found.runs:
        click.echo(f"  run {run.run}: {run.pages} pages of {run.units} units, {run.started} to {run.ended}")

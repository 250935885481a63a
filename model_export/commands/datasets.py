"""`twinrank-export fetch`: public collections for training and evaluation."""

from pathlib import Path

import click

from model_export.commands.options import CONFIG, FOLDER
from model_export.datasets.catalogue import CATALOGUE, choose, read_catalogue
from model_export.datasets.fetch import fetch


@click.command("fetch")
@click.argument("names", nargs=-1)
@click.option(
    "--out", default=Path("var/data"), show_default=True, type=FOLDER, help="a folder for each goes here"
)
@click.option("--catalogue", default=CATALOGUE, type=CONFIG, hidden=True, help="another table of collections")
def fetch_command(names: tuple[str, ...], out: Path, catalogue: Path) -> None:
    """Fetch the public collections NAMES, and convert them to BEIR's layout; without NAMES, list all.

    An interrupted download goes on when the command is run again.
    Read a collection's licence, which is printed, before you use it.
    """
    datasets = read_catalogue(catalogue)
    if names:
        fetch(choose(datasets, names), out, click.echo)
        return
    for name, dataset in datasets.items():
        how = "" if dataset.is_automatic else f"\n    By hand: {dataset.instructions}"
        click.echo(f"{name}: {dataset.about}\n    Licence: {dataset.licence}{how}")

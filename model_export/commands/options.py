"""Argument types that several commands share."""

from pathlib import Path

import click

CONFIG = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)

"""Argument types that several commands share."""

from pathlib import Path

import click

from reranker.bundle_names import find_bundle

CONFIG = click.Path(path_type=Path, dir_okay=False)
NEW_FOLDER = click.Path(path_type=Path)
FOLDER = click.Path(path_type=Path, file_okay=False)
BUNDLE = find_bundle
"""A bundle's folder, or the name of one that comes with Twinrank."""

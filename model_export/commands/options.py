"""Argument types that several commands share."""

from pathlib import Path

import click

from reranker.bundle_names import find_bundle


class BundlePath(click.ParamType[Path]):
    """A bundle's folder, or the name of one that comes with Twinrank."""

    name = "bundle"

    def convert(self, value: str | Path, _param: click.Parameter | None, _ctx: click.Context | None) -> Path:
        """Return the bundle's folder.

        Raises:
            BundleError: there is no such bundle.
        """
        return find_bundle(value)


CONFIG = click.Path(path_type=Path, dir_okay=False)
NEW_FOLDER = click.Path(path_type=Path)
FOLDER = click.Path(path_type=Path, file_okay=False)
BUNDLE = BundlePath()

"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from opensearch.settings.layers import Defaults, server_defaults
from plugin.commands.processor import LIGHT_BUNDLE, default_bundle
from reranker.bundle import BUNDLES, DEFAULT_BUNDLE

Command = TypeVar("Command", bound=Callable[..., Any])


def bundle_folder(value: str | Path) -> Path:
    """Return a bundle's folder; a name is one's that comes with Twinrank, unless a folder here has it."""
    folder, shipped = Path(value), BUNDLES / value
    is_name = len(folder.parts) == 1 and not folder.exists()
    return shipped if is_name and shipped.is_dir() else folder


def bundle_option(command: Command) -> Command:
    """Add `--bundle`, passed as `bundle_path`."""
    return click.option(
        "--bundle",
        "bundle_path",
        type=bundle_folder,
        default=default_bundle,
        metavar="FOLDER",
        help="The model bundle: a folder, or the name of one that comes with Twinrank.  [default: "
        f"{DEFAULT_BUNDLE.name}; {LIGHT_BUNDLE.name} on x86 without VNNI]",
    )(command)


def settings_file_option(command: Command) -> Command:
    """Add `--settings`, passed as checked `defaults`."""
    return click.option(
        "--settings",
        "defaults",
        type=click.Path(dir_okay=False, path_type=Path),
        callback=lambda context, parameter, file: read_defaults(file),
        metavar="FILE",
        help="JSON with the server's defaults, in the form of `_meta.rerank`.",
    )(command)


def read_defaults(file: Path | None) -> Defaults:
    """Return the server's defaults of a file, none where there is no file.

    Raises:
        click.BadParameter: the file cannot be read, or holds something else.
    """
    if file is None:
        return {}
    try:
        return server_defaults(msgspec.json.decode(file.read_bytes()), str(file))
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"expected a JSON file, found: {error}") from error


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

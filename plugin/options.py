"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from opensearch.setting_layers import Defaults, server_defaults
from reranker.bundle import DEFAULT_BUNDLE

Command = TypeVar("Command", bound=Callable[..., Any])


def upstream_option(command: Command) -> Command:
    """Add `--upstream`, passed as `url`."""
    return click.option(
        "--upstream",
        "url",
        envvar="TWINRANK_UPSTREAM",
        default="http://127.0.0.1:9200",
        show_default=True,
        show_envvar=True,
        metavar="URL",
        help="The OpenSearch to talk to.",
    )(command)


def bundle_option(command: Command) -> Command:
    """Add `--bundle`, passed as `bundle_path`."""
    return click.option(
        "--bundle",
        "bundle_path",
        type=click.Path(path_type=Path),
        default=DEFAULT_BUNDLE,
        metavar="FOLDER",
        help="The model bundle.  [default: the one that comes with Twinrank]",
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


json_option = click.option("--json", "as_json", is_flag=True, help="For machines.")

"""Options that several commands share."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from opensearch.settings.layers import Defaults
from plugin.settings.defaults import DefaultsFileError, read_defaults
from reranker.bundle import BUNDLES, DEFAULT_BUNDLE
from reranker.bundle_names import find_bundle
from reranker.errors import BundleError

Command = TypeVar("Command", bound=Callable[..., Any])

LIGHT_BUNDLE = BUNDLES / "bge-small-en-v1.5-light"
"""The default if integer products are slow: same stored vectors, but a small tower for short queries."""

CPU_INFO = Path("/proc/cpuinfo")
VNNI = {"avx512_vnni", "avx_vnni", "amx_int8"}
"""Linux' names of the x86 instructions for products of bytes; other processors name theirs otherwise."""


def choose_default_bundle(cpu_info: Path = CPU_INFO) -> Path:
    """Return the default bundle: the light one on an x86 processor without VNNI.

    Both bundles have the same document tower, so an index works with either. If Linux does not list the
    processor's features, it is the usual one.
    """
    try:
        lines = cpu_info.read_text().splitlines()
    except OSError:
        return DEFAULT_BUNDLE
    flags = {flag for line in lines if line.startswith("flags") for flag in line.partition(":")[2].split()}
    return LIGHT_BUNDLE if flags and not flags & VNNI else DEFAULT_BUNDLE


def find_bundle_folder(value: str | Path) -> Path:
    """Return a bundle's folder, with the version that is pinned, as `reranker.bundle_names.find_bundle` does.

    Raises:
        click.BadParameter: there is no such bundle, or it has another version.
    """
    try:
        return find_bundle(value)
    except BundleError as error:
        raise click.BadParameter(str(error)) from error


def bundle_option(command: Command) -> Command:
    """Add `--bundle`, passed as `bundle_path`."""
    return click.option(
        "--bundle",
        "bundle_path",
        type=find_bundle_folder,
        default=choose_default_bundle,
        metavar="FOLDER",
        help="The model bundle: a folder, or the name of one that comes with Twinrank or with an installed"
        " package. NAME@VERSION pins its version.  [default: "
        f"{DEFAULT_BUNDLE.name}; {LIGHT_BUNDLE.name} on x86 without VNNI]",
    )(command)


def settings_file_option(command: Command) -> Command:
    """Add `--settings`, passed as checked `defaults`."""

    @wraps(command)
    def with_defaults(*, settings_file: Path | None, **given: Any) -> Any:  # noqa: ANN401  # click's own
        return command(defaults=_read_defaults(settings_file), **given)

    return click.option(
        "--settings",
        "settings_file",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="JSON with the server's defaults, in the form of `_meta.rerank`.",
    )(with_defaults)  # type: ignore[return-value]


def _read_defaults(file: Path | None) -> Defaults:
    try:
        return read_defaults(file)
    except DefaultsFileError as error:
        raise click.UsageError(str(error)) from error


combiner_option = click.option(
    "--combiner-file",
    "combiners",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    multiple=True,
    help="A learned combiner, as `twinrank tune --combiner` writes it. Its name in the settings is the file's"
    " without `.json`. Repeatable.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

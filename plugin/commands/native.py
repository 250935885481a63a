"""`twinrank native`: OpenSearch's own pipelines call Twinrank's endpoints; searches need no proxy."""

import json
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

import click

from opensearch.index import metadata
from opensearch.native import install
from opensearch.native.install import NativeOptions
from opensearch.native.templates import CONNECTORS
from plugin.apis.tokens import read_tokens
from plugin.commands.connection import open_client
from plugin.errors import CommandError
from plugin.options.upstream import connection_options
from plugin.upstream.connecting import Connecting

_HIDDEN = "(the token)"


@click.group("native")
def native_command() -> None:
    """Let OpenSearch's own pipelines rerank with ml-commons, without a proxy."""


@native_command.command("install")
@click.argument("index")
@click.option("--sidecar", required=True, metavar="URL", help="`twinrank serve`, as OpenSearch reaches it.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help="The token file of `serve`; its first token is used.",
)
@click.option(
    "--read-timeout",
    type=click.IntRange(1, 60),
    default=3,
    show_default=True,
    metavar="SECONDS",
    help="Longest wait of a search for Twinrank.",
)
@click.option("--dry-run", is_flag=True, help="Print the requests, and send none that changes anything.")
@connection_options
def install_command(
    index: str,
    sidecar: str,
    token_file: Path | None,
    read_timeout: int,
    dry_run: bool,
    connecting: Connecting,
) -> None:
    """Create connectors, models and pipelines for INDEX, which must be enabled. Replaces existing ones."""
    parts = urlsplit(sidecar)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CommandError(f"--sidecar: expected a URL such as http://10.0.0.5:9100, found {sidecar!r}")
    token = read_tokens(token_file)[0] if token_file else "none"
    options = NativeOptions(sidecar, token, read_timeout)
    with open_client(connecting) as upstream:
        settings = metadata.find_write_index(upstream, index).rerank_settings()
        settings.check_managed(index, "Search through the proxy, which reads them")
        if dry_run:
            hidden = NativeOptions(sidecar, _HIDDEN, read_timeout)
            _print_steps(install.placeholder_values(index, settings, hidden))
            return
        for line in install.install(upstream, install.placeholder_values(index, settings, options)):
            click.echo(line)
    name = install.native_name(index)
    click.echo(f"Search {index} with search_pipeline={name}-rescore or {name}-rerank: docs/how-to/native.md.")


@native_command.command("uninstall")
@click.argument("index")
@connection_options
def uninstall_command(index: str, connecting: Connecting) -> None:
    """Remove what `install` created for INDEX. Documents and vectors stay."""
    with open_client(connecting) as upstream:
        lines = list(install.uninstall(upstream, index))
    click.echo("\n".join(lines) or f"nothing of {install.native_name(index)} was there")


def _print_steps(values: dict[str, object]) -> None:
    unknown = {name: f"${{{name.upper()}_MODEL_ID}}" for name in CONNECTORS}
    steps = [*install.connector_steps(values).values(), *install.pipeline_steps(values, unknown)]
    for step in steps:
        click.echo(json.dumps(asdict(step), indent=2))

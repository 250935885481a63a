"""`twinrank opensearch`: start, stop and inspect a local server."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import click

from opensearch.local.server import DEFAULT_PORT, LocalServer


def find_home() -> Path:
    """Return the folder of the downloaded server and its data: TWINRANK_HOME, else the user's cache folder.

    For root it is /var/tmp/twinrank: the account that runs the server cannot read root's own folders.
    """
    chosen = os.environ.get("TWINRANK_HOME")
    if chosen:
        return Path(chosen)
    if os.geteuid() == 0:
        return Path("/var/tmp/twinrank")  # noqa: S108 - the server's own folders are made below it
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "twinrank"


def make_local_server(
    port: int = DEFAULT_PORT, heap: str = "512m", folder: Path | None = None
) -> LocalServer:
    """Return a local server in `find_home()`, not started, with JAVA_HOME if it is set.

    `folder` is the server's own folder; None: the folder of the user's default server.
    """
    java_home = os.environ.get("JAVA_HOME")
    return LocalServer(
        find_home(),
        folder=folder,
        http_port=port,
        heap=heap,
        java_home=Path(java_home) if java_home else None,
    )


@click.group("opensearch")
def opensearch_command() -> None:
    """Start, stop and inspect a local OpenSearch."""


@opensearch_command.command()
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="HTTP port; 0 takes any free one.")
@click.option("--fresh", is_flag=True, help="Delete the data of earlier runs first.")
@click.option("--heap", default="512m", show_default=True, help="Java heap: 512m, 2g.")
def start(port: int, fresh: bool, heap: str) -> None:
    """Download OpenSearch if it is missing, start it, and wait until it is ready."""
    server = make_local_server(port, heap)
    click.echo("Starting OpenSearch; the first time it is fetched as well (160 MB) ...", err=True)
    url = server.start(fresh=fresh)
    click.echo(f"OpenSearch is ready at {url} (data: {server.folders.data}).")


@opensearch_command.command()
def stop() -> None:
    """Stop it. The data stays."""
    click.echo("OpenSearch is stopped." if make_local_server().stop() else "OpenSearch was not running.")


@opensearch_command.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(as_json: bool) -> None:
    """Show whether it runs, its address and its health. Exit status 1 if it does not run."""
    found = make_local_server().status()
    if as_json:
        click.echo(json.dumps(asdict(found)))
    elif found.running:
        click.echo(
            f"OpenSearch runs at {found.url} (process {found.pid}), health {found.health or 'unknown'}."
        )
    else:
        click.echo(f"OpenSearch is not running (folder: {found.folder}).")
    if not found.running:
        raise click.exceptions.Exit(1)

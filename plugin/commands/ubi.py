"""`twinrank ubi`."""

import json

import click

from plugin.commands.connection import open_client
from plugin.options.common import json_option
from plugin.options.upstream import connection_options
from plugin.ubi.indices import create_ubi_indices
from plugin.upstream.connecting import Connecting


@click.group("ubi")
def ubi_command() -> None:
    """Prepare OpenSearch for User Behavior Insights."""


@ubi_command.command("create")
@json_option
@connection_options
def create_command(as_json: bool, connecting: Connecting) -> None:
    """Create the indices ubi_queries and ubi_events if they are missing.

    They have the mappings of OpenSearch's UBI plugin. An index that exists stays as it is.
    """
    with open_client(connecting) as client:
        found = create_ubi_indices(client)
    if as_json:
        click.echo(json.dumps({"created": found.created, "existing": found.existing}))
        return
    for index in found.created:
        click.echo(f"created {index}")
    for index in found.existing:
        click.echo(f"{index} is there already")

"""Every command of `twinrank`, with its sub-commands."""

from collections.abc import Iterator

import click

from plugin.commands.main import main


def commands(group: click.Group, *path: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield " ".join([*path, name]), command


EVERY = dict(commands(main))

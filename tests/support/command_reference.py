"""Write docs/reference/commands.md from the commands: `python -m tests.support.command_reference`."""

import re
from collections.abc import Iterator

import click

from plugin.commands.main import main
from plugin.upstream.connecting import VARIABLES
from tests.support.paths import DOCS

PAGE = DOCS / "reference" / "commands.md"
HEAD = """# Commands

`python -m tests.support.command_reference` writes this page, and a test holds it to the commands.
[Command line](command-line.md) explains what all commands share.
*Connection options* are those of [reach OpenSearch](command-line.md#reach-opensearch).
Every command also has `--profile` and `--show-options`
([options, variables and profiles](command-line.md#options-variables-and-profiles)).
"""


def command_reference() -> str:
    """Return the page: every command with its arguments, its text and its options."""
    context = click.Context(main, info_name="twinrank", max_content_width=10_000)
    return "\n".join([HEAD, *_sections(main, context)])


def _sections(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None:
            raise LookupError(f"expected the command {name}, found none")
        inner = click.Context(command, parent=context, info_name=name, max_content_width=10_000)
        if isinstance(command, click.Group):
            yield from _sections(command, inner)
        else:
            yield from _section(command, inner)


def _section(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"## `{context.command_path}`\n"
    yield "```"
    yield f"{context.command_path} {' '.join(command.collect_usage_pieces(context))}"
    yield "```\n"
    yield from _paragraphs(command.help or "")
    options = [param for param in command.params if isinstance(param, click.Option) and not param.hidden]
    options = [option for option in options if option.expose_value]
    own = [option for option in options if not _is_of_connection(option)]
    if own:
        yield "| option | meaning |"
        yield "|---|---|"
        yield from (_row(option, context) for option in own)
        yield ""
    if len(own) < len(options):
        yield "Also the connection options.\n"


def _paragraphs(text: str) -> Iterator[str]:
    """Yield a help text as Markdown, one sentence a line."""
    for paragraph in re.split(r"\n\s*\n", text.replace("\b", "").strip()):
        yield re.sub(r"([.:]) (?=[A-Z`(])", r"\1\n", re.sub(r"\s+", " ", paragraph.strip())) + "\n"


def _is_of_connection(option: click.Option) -> bool:
    return option.name in VARIABLES


def _row(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    if record is None:
        raise LookupError(f"expected a help text of {option.name}, found none")
    names, meaning = record
    return f"| `{_escaped(names)}` | {_escaped(meaning)} |"


def _escaped(text: str) -> str:
    """Return a text as a cell of a table."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(command_reference())

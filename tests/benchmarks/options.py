"""Options that several benchmarks share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

upstream_option = click.option(
    "--upstream", help="An OpenSearch to use.  [default: one of its own, stopped at the end]"
)


def interleaved_options(*, documents: int, rounds: int) -> Callable[[Command], Command]:
    """Add `--documents`, `--rounds` and `--upstream`, with these defaults."""

    def add(command: Command) -> Command:
        command = upstream_option(command)
        command = _add_count("--rounds", 3, rounds, "Rounds of all requests.", command)
        return _add_count("--documents", 150, documents, "Docstrings to index.", command)

    return add


def _add_count(name: str, least: int, default: int, text: str, command: Command) -> Command:
    option = click.option(name, type=click.IntRange(min=least), default=default, show_default=True, help=text)
    return option(command)

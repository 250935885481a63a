"""A console as wide as the terminal."""

from rich.console import Console

PLAIN_WIDTH = 120
"""Columns of tables if the output is no terminal."""


def make_console() -> Console:
    """Return a console as wide as the terminal, or PLAIN_WIDTH columns wide."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console

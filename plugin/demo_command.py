"""`twinrank demo`."""

import click
from rich.console import Console

from plugin.demo import start_demo, stop_demo
from plugin.demo_report import demo_report
from plugin.opensearch_command import default_home, local_server

_PLAIN_WIDTH = 120


@click.command("demo")
@click.option("--stop", is_flag=True, help="Stop what an earlier demo left running.")
@click.option("--documents", type=click.IntRange(min=100), help="Index only so many docstrings.")
def demo_command(stop: bool, documents: int | None) -> None:
    """Start OpenSearch and Twinrank on this machine and show searches both ways."""
    home, server = default_home(), local_server()
    if stop:
        stopped = stop_demo(home, server)
        click.echo(f"Stopped {' and '.join(stopped)}." if stopped else "No demo was running.")
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    console.print(demo_report(start_demo(home, server, limit=documents, say=click.echo)))

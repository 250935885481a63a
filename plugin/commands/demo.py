"""`twinrank demo`."""

from pathlib import Path

import click
from rich.text import Text

from plugin.commands.local_server import find_home, make_local_server
from plugin.commands.terminal import make_console
from plugin.demo.demo import DemoPlan, start_demo, stop_demo
from plugin.demo.report import format_demo
from plugin.options.common import bundle_option
from reranker.bundle import Bundle


@click.command("demo")
@click.option("--stop", is_flag=True, help="Stop an earlier demo.")
@click.option("--documents", type=click.IntRange(min=100), help="Index only this many docstrings.")
@bundle_option
def demo_command(stop: bool, documents: int | None, bundle_path: Path) -> None:
    """Start OpenSearch and Twinrank on this machine, and compare some searches."""
    home, server = find_home(), make_local_server()
    if stop:
        stopped = stop_demo(home, server)
        click.echo(f"Stopped {' and '.join(stopped)}." if stopped else "No demo was running.")
        return
    console = make_console()
    plan = DemoPlan(home, server, Bundle.open(bundle_path), documents)
    for part in format_demo(start_demo(plan, click.echo)):
        console.print(part, soft_wrap=isinstance(part, Text))  # lines that are copied must not be wrapped

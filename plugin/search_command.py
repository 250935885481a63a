"""`twinrank search`."""

import click
from rich.console import Console

from plugin.both_orders import search_both
from plugin.both_orders_table import orders_table, timing_line
from plugin.connecting import Connecting
from plugin.upstream_options import connection_options


@click.command("search")
@click.argument("index")
@click.argument("text")
@click.option("--size", default=10, show_default=True, type=click.IntRange(1, 100), help="Hits to show.")
@click.option("--field", "fields", multiple=True, help="Field to search; all of them where none is given.")
@click.option(
    "--proxy",
    envvar="TWINRANK_PROXY",
    default="http://127.0.0.1:9100",
    show_default=True,
    show_envvar=True,
    metavar="URL",
    help="Twinrank in front of it; asked as the same user unless the URL names another.",
)
@connection_options
def search_command(
    index: str, text: str, size: int, fields: tuple[str, ...], connecting: Connecting, proxy: str
) -> None:
    """Search INDEX for TEXT straight at OpenSearch and through the proxy, side by side."""
    query = {"multi_match": {"query": text, **({"fields": fields} if fields else {})}}
    with connecting.search_client() as straight, connecting.proxy_client(proxy) as proxied:
        orders = search_both(straight, proxied, index, text, {"query": query, "size": size})
    console = Console(highlight=False)
    console.print(orders_table(orders), timing_line(orders), sep="\n")

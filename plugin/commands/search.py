"""`twinrank search`."""

import json
from contextlib import suppress
from typing import IO, Any

import click

from opensearch.client import OpenSearchClient
from opensearch.errors import RequestError
from opensearch.index import metadata
from opensearch.settings.table import SettingsError
from plugin.commands.connection import open_client
from plugin.commands.terminal import make_console
from plugin.compare.comparison import BothOrders, search_both
from plugin.compare.hit_text import hit_text
from plugin.harness.comparison_table import format_orders
from plugin.options.common import json_option
from plugin.options.search_argument import parse_body, parse_search_argument
from plugin.options.upstream import connection_options
from plugin.upstream.connecting import Connecting

DEFAULT_SIZE = 10


@click.command("search")
@click.argument("index")
@click.argument("text", required=False)
@click.option("--body", type=click.File("rb"), help="A search as JSON, in place of TEXT; - is stdin.")
@click.option("--size", type=click.IntRange(1, 100), help=f"Hits to show.  [default: {DEFAULT_SIZE}]")
@click.option("--field", "fields", multiple=True, help="Field to search.  [default: the source fields]")
@click.option(
    "--proxy",
    envvar="TWINRANK_PROXY",
    default="http://127.0.0.1:9100",
    show_default=True,
    show_envvar=True,
    metavar="URL",
    help="Twinrank in front of it; searched as the same user unless the URL names another.",
)
@json_option
@connection_options
def search_command(
    index: str,
    text: str | None,
    body: IO[bytes] | None,
    size: int | None,
    fields: tuple[str, ...],
    proxy: str,
    as_json: bool,
    connecting: Connecting,
) -> None:
    """Search INDEX for TEXT directly in OpenSearch and through the proxy, side by side.

    A TEXT that begins with { is the body of a search. If a busy machine leaves a search unranked, it is sent
    again a few times with a longer deadline.
    """
    if (text is None) == (body is None):
        raise click.UsageError("expected either TEXT or --body FILE")
    given, words = (parse_body(body.read()), None) if body else parse_search_argument(text or "")
    with open_client(connecting) as client:
        sources = _find_source_fields(client, index)
    search = _set_size(given, size) if given else _build_search(words or "", fields or sources, size)
    with connecting.search_client() as straight, connecting.proxy_client(proxy) as proxied:
        orders = search_both(straight, proxied, index, words or "a search body", search)
    if as_json:
        click.echo(json.dumps(_describe(orders, sources)))
        return
    console = make_console()
    for part in format_orders(orders, sources):
        console.print(part)


def _build_search(text: str, fields: tuple[str, ...], size: int | None) -> dict[str, Any]:
    query = {"multi_match": {"query": text, **({"fields": fields} if fields else {})}}
    return {"query": query, "size": size or DEFAULT_SIZE}


def _set_size(body: dict[str, Any], size: int | None) -> dict[str, Any]:
    return body | {"size": size} if size else body


def _find_source_fields(client: OpenSearchClient, index: str) -> tuple[str, ...]:
    """Return the source fields of the indices behind a name, each once; none if no settings can be read."""
    fields: list[str] = []
    with suppress(RequestError):  # a user who may search may lack the right to read a mapping
        for each in metadata.find_indices(client, index):
            with suppress(SettingsError):
                fields += each.rerank_settings().source_fields
    return tuple(dict.fromkeys(fields))


def _describe(orders: BothOrders, fields: tuple[str, ...]) -> dict[str, Any]:
    sides = {"opensearch": orders.straight, "twinrank": orders.reranked}
    described: dict[str, Any] = {
        name: {
            "elapsed_ms": round(answer.elapsed_ms, 2),
            "hits": [
                {"_id": hit["_id"], "_score": hit.get("_score"), "text": hit_text(hit, fields)}
                for hit in answer.hits
            ],
        }
        for name, answer in sides.items()
    }
    described["twinrank"]["rerank_status"] = orders.reranked.status
    return {**described, "moved": orders.moves, "repeats": orders.repeats}

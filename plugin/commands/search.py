"""`twinrank search`."""

import json
from collections.abc import Mapping
from functools import partial
from typing import IO, Any

import click

from plugin.commands.connection import open_client
from plugin.commands.terminal import make_console
from plugin.compare.comparison import BothOrders, ask_for_details, search_both
from plugin.compare.hit_text import hit_text, hit_title
from plugin.compare.retry import search_until_reranked
from plugin.compare.score_parts import ScoreParts, find_score_parts
from plugin.compare.source_fields import find_source_fields
from plugin.harness.comparison_table import format_orders
from plugin.options.common import json_option
from plugin.options.search_argument import DEFAULT_SIZE, body_option, read_search, set_size, size_option
from plugin.options.upstream import connection_options
from plugin.upstream.connecting import Connecting
from plugin.upstream.search_client import SearchClient

_SUM = (
    "Score: logarithm of OpenSearch's score + crossing + feedback + smoothing + signals, as far as the index"
    " uses them."
)


@click.command("search")
@click.argument("index")
@click.argument("text", required=False)
@body_option
@size_option
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
@click.option("--scores", "with_scores", is_flag=True, help="Show what adds up to each reranked hit's score.")
@json_option
@connection_options
def search_command(
    index: str,
    text: str | None,
    body: IO[bytes] | None,
    size: int | None,
    fields: tuple[str, ...],
    proxy: str,
    with_scores: bool,
    as_json: bool,
    connecting: Connecting,
) -> None:
    """Search INDEX for TEXT directly in OpenSearch and through the proxy, side by side.

    A TEXT that begins with { is the body of a search. A hit is shown by its first source field. If a busy
    machine leaves a search unranked, it is sent again a few times with a longer deadline.
    """
    given, words = read_search(text, body)
    with open_client(connecting) as client:
        sources = find_source_fields(client, index)
    search = _build_search(words or "", fields or sources, size) if given is None else set_size(given, size)
    with connecting.search_client() as straight, connecting.proxy_client(proxy) as proxied:
        orders = search_both(straight, proxied, index, words or "a search body", search)
        scores = _find_scores(proxied, index, search, orders) if with_scores else None
    if as_json:
        click.echo(json.dumps(_describe(orders, sources, scores)))
        return
    console = make_console()
    sums = None if scores is None else {place: parts.format_sum() for place, parts in scores.items()}
    for part in format_orders(orders, partial(hit_title, fields=sources), sums):
        console.print(part)
    if sums:
        console.print(_SUM, style="dim")


def _build_search(text: str, fields: tuple[str, ...], size: int | None) -> dict[str, Any]:
    query = {"multi_match": {"query": text, **({"fields": fields} if fields else {})}}
    return {"query": query, "size": size or DEFAULT_SIZE}


def _find_scores(
    proxied: SearchClient, index: str, search: dict[str, Any], orders: BothOrders
) -> dict[int, ScoreParts]:
    """Return the reranked hits' places, counted from 0, with the parts of their scores.

    They come with a search of their own, so that the one that is compared is the application's.
    """
    if not orders.is_reranked:  # an index without settings refuses `ext.rerank`
        return {}
    answer, _ = search_until_reranked(proxied, index, ask_for_details(search))
    used = answer.body.get("ext", {}).get("rerank")
    by_name = {(hit["_index"], hit["_id"]): hit.get("_rerank") for hit in answer.hits}
    found = {
        place: by_name.get((hit["_index"], hit["_id"])) for place, hit in enumerate(orders.reranked.hits)
    }
    return {place: find_score_parts(scored, used) for place, scored in found.items() if scored and used}


def _describe(
    orders: BothOrders, fields: tuple[str, ...], scores: Mapping[int, ScoreParts] | None
) -> dict[str, Any]:
    sides = {"opensearch": orders.straight, "twinrank": orders.reranked}
    described: dict[str, Any] = {
        name: {
            "elapsed_ms": round(answer.elapsed_ms, 2),
            "hits": [_describe_hit(hit, fields) for hit in answer.hits],
        }
        for name, answer in sides.items()
    }
    described["twinrank"]["rerank_status"] = orders.reranked.status
    for place, parts in (scores or {}).items():
        described["twinrank"]["hits"][place]["score_parts"] = parts.as_json()
    return {**described, "moved": orders.moves, "repeats": orders.repeats}


def _describe_hit(hit: dict[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    return {
        "_id": hit["_id"],
        "_score": hit.get("_score"),
        "title": hit_title(hit, fields),
        "text": hit_text(hit, fields),
    }

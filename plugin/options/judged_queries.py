"""The options that say which judged queries are searched, and how, for every command that measures."""

from collections.abc import Callable
from typing import Any

import click

from plugin.options.common import Command

queries_option = click.option(
    "--queries",
    metavar="FILE",
    help="Queries: CSV query_id,query; JSON lines; TREC topics; a folder in BEIR layout; or workbench:ID.",
)
judgments_option = click.option(
    "--judgments",
    "--qrels",
    "judgments",
    metavar="FILE",
    help="Judgements: CSV query_id,doc_id,judgment; JSON lines; TREC's columns; Quepid's export; or"
    " workbench:ID.",
)

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    queries_option,
    judgments_option,
    click.option(
        "--proxy",
        envvar="TWINRANK_PROXY",
        show_envvar=True,
        metavar="URL",
        help="A running proxy; without one, one is started for this run.",
    ),
    click.option("--field", "fields", multiple=True, help="Field to search.  [default: the source fields]"),
    click.option(
        "--body",
        type=click.File("rb"),
        metavar="FILE",
        help="The search of every query, as JSON with %queryText% in place of its text.",
    ),
    click.option("--queries-limit", type=click.IntRange(min=1), help="Use only the first N judged queries."),
    click.option(
        "--relevant", type=float, default=1, show_default=True, help="Lowest grade that is relevant."
    ),
    click.option("--judged-only", is_flag=True, help="Leave unjudged hits out of both orders."),
)


def judged_search_options(command: Command) -> Command:
    """Add the options of a command that searches every judged query in both orders."""
    decorated: Any = command
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]

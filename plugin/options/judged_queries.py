"""The options that say which judged queries are searched, and how, for every command that measures."""

from collections.abc import Callable, Sequence
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

_FIELD = click.option(
    "--field", "fields", multiple=True, help="Field to search.  [default: the source fields]"
)
_BODY = click.option(
    "--body",
    type=click.File("rb"),
    metavar="FILE",
    help="The search of every query, as JSON with %queryText% in place of its text.",
)
_LIMIT = click.option(
    "--queries-limit", type=click.IntRange(min=1), help="Use only the first N judged queries."
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
    _FIELD,
    _BODY,
    _LIMIT,
    click.option(
        "--relevant", type=float, default=1, show_default=True, help="Lowest grade that is relevant."
    ),
    click.option("--judged-only", is_flag=True, help="Leave unjudged hits out of both orders."),
)

_SEARCH_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    _FIELD,
    _BODY,
    _LIMIT,
    click.option("--judged-only", is_flag=True, help="Leave unjudged hits out."),
)


def judged_search_options(command: Command) -> Command:
    """Add the options of a command that searches every judged query in both orders."""
    return _add(_OPTIONS, command)


def search_options(command: Command) -> Command:
    """Add the options of a command that searches every judged query once, without a proxy."""
    return _add(_SEARCH_OPTIONS, command)


def _add(options: Sequence[Callable[[Any], Any]], command: Command) -> Command:
    decorated: Any = command
    for option in reversed(options):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]

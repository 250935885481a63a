"""The options of `twinrank serve` that say what is logged, and how."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from plugin.telemetry.search_log import SLOW_MS, LogOptions

_OPTIONS = (
    click.option(
        "--slow-ms",
        type=click.FloatRange(min=0),
        default=SLOW_MS,
        show_default=True,
        help="Log searches that take longer as slow_search, a warning.",
    ),
    click.option(
        "--log-queries", is_flag=True, help="Log the text that a search is reranked by. It may be personal."
    ),
    click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="The lines that are not of searches, which are JSON always.",
    ),
)


def log_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options, passed as `log` and `log_format`."""

    @wraps(command)
    def with_log(*, slow_ms: float, log_queries: bool, **others: object) -> object:
        return command(log=LogOptions(slow_ms, log_queries), **others)

    for option in reversed(_OPTIONS):
        with_log = option(with_log)
    return with_log

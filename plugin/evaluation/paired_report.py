"""A paired difference and the queries behind it, in words: the same for every command."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from plugin.evaluation.query_result import NUM_SHOWN, PairedQuery, select_worst

if TYPE_CHECKING:
    from plugin.evaluation.measures import Difference

MIN_P = 0.0001
"""A smaller p is not told apart."""


def format_interval(found: "Difference") -> str:
    """Return the mean difference with its 95 % interval."""
    return f"{found.mean:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def format_p(found: "Difference") -> str:
    """Return the p of the paired t-test."""
    return f"< {MIN_P}" if found.p < MIN_P else f"{found.p:.4f}"


def format_difference(found: "Difference") -> str:
    """Return the mean difference with its interval, and how many queries were won and lost, in one line."""
    interval = f"{found.mean:+.3f} (95 %: {found.low:+.3f} to {found.high:+.3f})"
    return f"{interval}, won {found.won}, lost {found.lost}"


def format_losses(queries: Sequence[PairedQuery], number: int = NUM_SHOWN) -> Iterator[str]:
    """Yield the queries that lost most, one a line, worst first."""
    yield from (query.format() for query in select_worst(queries, number))

"""How `Rerank-Status` names reasons and items in one header line."""

import re
from collections.abc import Sequence
from itertools import groupby

MAX_CHARS = 1000
"""The items of an `_msearch` are shown up to here; then `...` replaces the others."""

_MAX_WORD = 64


def clean_reason(reason: str) -> str:
    """Return a reason, which may be a key that a client made up, as a header can hold it."""
    if reason.isascii() and reason.isidentifier() and len(reason) <= _MAX_WORD:
        return reason
    return re.sub(r"[^\w.-]", "_", reason, flags=re.ASCII)[:_MAX_WORD]


def render_items(words: Sequence[str]) -> str:
    """Return the words of items, counted from 0, neighbours of one kind together: `0-2:applied,3-4:sort`."""
    return _limit(_join_neighbours(words))


def _join_neighbours(words: Sequence[str]) -> list[str]:
    runs = []
    for word, group in groupby(enumerate(words), key=lambda each: each[1]):
        positions = [position for position, _ in group]
        first, last = positions[0], positions[-1]
        runs.append(f"{first}:{word}" if first == last else f"{first}-{last}:{word}")
    return runs


def _limit(runs: Sequence[str]) -> str:
    length = 0
    shown: list[str] = []
    for run in runs:
        length += len(run) + 1
        if length > MAX_CHARS:
            return ",".join([*shown, "..."])
        shown.append(run)
    return ",".join(shown)

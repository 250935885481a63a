"""`Rerank-Status`: what became of a search, or of several, in one header line."""

import re
from collections.abc import Sequence
from itertools import groupby

APPLIED = "applied"
REFUSED = "ext"
"""The word of an item whose `ext.rerank` is wrong."""

UNTOLD = "items"
"""Stands for the words of items that a line has no room for."""

MAX_CHARS = 1000
"""The items of an `_msearch` are told up to here; then `...` stands for the others."""

_MAX_WORD = 64
_MAX_DIGITS = 18


def skipped(reason: str) -> str:
    """Return the line of a search that is passed through."""
    return f"skipped; reason={_word(reason)}"


def of_items(words: Sequence[str]) -> str:
    """Return the line of several searches: APPLIED, REFUSED or a reason each, counted from 0.

    Neighbours of one kind are told together: `applied=3; skipped=2; items=0-2:applied,3-4:sort`.
    """
    num_applied, num_refused = words.count(APPLIED), words.count(REFUSED)
    counts = f"applied={num_applied}; skipped={len(words) - num_applied - num_refused}"
    if num_refused:
        counts += f"; refused={num_refused}"
    return f"{counts}; items={_bounded(_runs(words))}" if words else counts


def read_items(line: str) -> dict[str, int]:
    """Read such a line back: how many items each word was told of, UNTOLD those behind the dots.

    Nothing, where it is the line of a single search.
    """
    members = dict(part.split("=", 1) for part in line.split("; ") if "=" in part)
    if APPLIED not in members or not members[APPLIED].isdecimal():
        return {}
    told: dict[str, int] = {}
    for run in members.get("items", "").split(","):
        positions, _, word = run.partition(":")
        if word:
            first, _, last = positions.partition("-")
            told[word] = told.get(word, 0) + _number(last or first) - _number(first) + 1
    kinds = (APPLIED, "skipped", "refused")
    untold = sum(_number(members.get(kind, "0")) for kind in kinds) - sum(told.values())
    return {**told, UNTOLD: untold} if untold else told


def _number(text: str) -> int:
    """Read a number of ours; what is none, in a line that another server wrote, is 0."""
    return int(text) if text.isdecimal() and len(text) < _MAX_DIGITS else 0


def _runs(words: Sequence[str]) -> list[str]:
    runs = []
    for word, group in groupby(enumerate(words), key=lambda each: each[1]):
        positions = [position for position, _ in group]
        first, last = positions[0], positions[-1]
        runs.append(f"{first}:{_word(word)}" if first == last else f"{first}-{last}:{_word(word)}")
    return runs


def _bounded(runs: Sequence[str]) -> str:
    length = 0
    told: list[str] = []
    for run in runs:
        length += len(run) + 1
        if length > MAX_CHARS:
            return ",".join([*told, "..."])
        told.append(run)
    return ",".join(told)


def _word(reason: str) -> str:
    """Return a reason, which may be a key that a client made up, as a header can have it."""
    return re.sub(r"[^\w.-]", "_", reason, flags=re.ASCII)[:_MAX_WORD]

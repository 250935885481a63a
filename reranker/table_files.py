"""The rows of a table in a file, plain or gzip: cells between tabs, commas or blanks."""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from reranker.beir_files import CollectionError

Line = tuple[int, str]
"""A line's number, counted from 1, and its text."""

Row = tuple[int, list[str]]
"""The number of the line that a row begins in, and its cells without surrounding blanks."""

Split = Callable[[Iterator[Line]], Iterator[Row]]

SHOWN_CHARS = 120
"""Of what was found, in an error."""


class TableError(CollectionError):
    """A file's rows cannot be read: says which line."""


def split_at_tabs(lines: Iterator[Line]) -> Iterator[Row]:
    """Yield cells between tabs; quotes are part of a cell."""
    return ((number, [cell.strip() for cell in line.split("\t")]) for number, line in lines)


def split_at_blanks(lines: Iterator[Line]) -> Iterator[Row]:
    """Yield cells between blanks."""
    return ((number, line.split()) for number, line in lines)


def split_at_commas(lines: Iterator[Line]) -> Iterator[Row]:
    """Yield cells between commas. A cell in quotes may hold commas and line ends.

    Raises:
        TableError: a quote is never closed, or a cell is too long.
    """
    taken: list[Line] = []

    def feed() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line[1]

    reader = csv.reader(feed())
    while True:
        taken.clear()
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise TableError(f"line {taken[0][0]}: expected cells between commas, found: {error}") from error
        if cells is None:
            return
        if len(taken) > 1 and sum(line.count('"') for _, line in taken) % 2:
            raise TableError(f"line {taken[0][0]}: expected cells between commas, found a quote without end")
        yield taken[0][0], [cell.strip() for cell in cells]


def split_table(path: Path, lines: Iterator[Line], split: Split) -> Iterator[Row]:
    """Yield the rows of a file's lines.

    Raises:
        TableError: a row cannot be read; names file and line.
    """
    try:
        yield from split(lines)
    except TableError as error:
        raise TableError(f"{path}, {error}") from error


def count_cells(line: str, split: Split) -> int:
    """Return how many cells the line has if it is split this way."""
    return len(next(split(iter([(1, line)])), (1, []))[1])


def normalise_name(cell: str) -> str:
    """Return the name of a column in small letters, with `-` for `_` and blanks."""
    return re.sub("[_ ]", "-", cell.lower())


def find_columns(cells: Sequence[str], names: Mapping[str, Sequence[str]]) -> dict[str, list[int]]:
    """Return the places, from 0, of the cells that have one of the names of each value."""
    found = [normalise_name(cell) for cell in cells]
    return {
        value: [place for place, name in enumerate(found) if name in known] for value, known in names.items()
    }


def shorten(found: object) -> str:
    """Return what was found as Python writes it, without what makes it longer than a line."""
    text = repr(found)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"

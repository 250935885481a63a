"""Read relevance judgements from a file, in the layouts of BEIR, TREC and spreadsheets.

`plugin` and `model_export` both need them, and neither imports the other.
"""

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from reranker.beir_files import CollectionError, read_lines

MAX_GRADE = 1000
"""A larger grade is taken for an id, and the columns for being in another order."""

Judgements = dict[str, dict[str, int]]
"""Query id -> document id -> grade."""

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")
_WHOLE = re.compile(r"[+-]?[0-9]+(\.0*)?")

_NAMES = {
    "query": ("query-id", "queryid", "query", "qid", "q-id", "topic", "topic-id"),
    "document": (
        "corpus-id", "corpusid", "document-id", "documentid", "document", "doc-id", "docid", "doc", "docno",
        "passage-id", "pid", "id",
    ),
    "grade": (
        "score", "grade", "relevance", "rel", "label", "judgement", "judgment", "rating", "relevance-grade",
    ),
}  # fmt: skip
"""The names of the three columns in a header; `_` and blanks count as `-`."""

_EXPECTED = (
    "query-id, corpus-id and a whole number as score, or TREC's four columns (query, 0, document, grade)"
)


class JudgementsError(CollectionError):
    """A file of judgements is not valid; says what was expected and found, and in which line."""


@dataclass(frozen=True)
class _Columns:
    """The positions of the three values, and how many columns there are."""

    query: int
    document: int
    grade: int
    count: int


def read_judgements(path: Path) -> Judgements:
    """Read judgements of three columns or TREC's four, between tabs, commas or blanks, plain or gzip.

    The first line may be a header, whose names then say which column is which. A judgement may be there
    twice, with one grade.

    Raises:
        JudgementsError: a line is no judgement or contradicts another one, or no grade is above 0.
        CollectionError: the file cannot be read.
    """
    rows = _read_rows(path)
    first = next(rows, None)
    if first is None:
        raise JudgementsError(f"{path}: expected judgements ({_EXPECTED}), found none")
    found: Judgements = {}
    columns = _find_named_columns(path, first[1]) if _is_header(first[1]) else None
    if columns is None:
        columns = _guess_columns(path, first[1])
        _add(found, path, first, columns)
    for row in rows:
        _add(found, path, row, columns)
    if not any(grade > 0 for grades in found.values() for grade in grades.values()):
        raise JudgementsError(f"{path}: expected a grade above 0, found none: nothing could be measured")
    return found


def _add(found: Judgements, path: Path, row: tuple[int, list[str]], columns: _Columns) -> None:
    number, cells = row
    where = f"{path}, line {number}"
    if len(cells) != columns.count:
        raise JudgementsError(
            f"{where}: expected {columns.count} columns, as in the first line, found {cells}"
        )
    query, document, score = cells[columns.query], cells[columns.document], cells[columns.grade]
    if not (query and document and _WHOLE.fullmatch(score)):
        raise JudgementsError(f"{where}: expected {_EXPECTED}, found {cells}")
    grade = int(score.partition(".")[0])
    if abs(grade) > MAX_GRADE:
        raise JudgementsError(
            f"{where}: expected a grade of at most {MAX_GRADE}, found {grade}, which looks like an id. If the"
            " columns are in another order, name them in a header: query-id, corpus-id, score"
        )
    known = found.setdefault(query, {}).setdefault(document, grade)
    if known != grade:
        raise JudgementsError(
            f"{where}: expected one grade of document {document} for query {query}, found {grade} after"
            f" {known}"
        )


def _is_header(cells: list[str]) -> bool:
    """Whether a first line is a header: a judgement has a number."""
    return not any(_NUMBER.fullmatch(cell) for cell in cells)


def _find_named_columns(path: Path, cells: list[str]) -> _Columns:
    names = [re.sub("[_ ]", "-", cell.lower()) for cell in cells]
    places = {
        value: [place for place, name in enumerate(names) if name in known] for value, known in _NAMES.items()
    }
    if any(len(found) != 1 for found in places.values()):
        raise JudgementsError(
            f"{path}, line 1: expected {_EXPECTED}, or a header with query-id, corpus-id and score,"
            f" found {cells}"
        )
    return _Columns(places["query"][0], places["document"][0], places["grade"][0], len(cells))


def _guess_columns(path: Path, cells: list[str]) -> _Columns:
    if len(cells) == 3:
        return _Columns(0, 1, 2, 3)
    if len(cells) == 4:
        return _Columns(0, 2, 3, 4)
    what = (
        "a run, which is a system's answer and no judgement" if len(cells) == 6 else f"{len(cells)} columns"
    )
    raise JudgementsError(f"{path}, line 1: expected {_EXPECTED}, found {what}: {cells}")


def _read_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the numbered cells of each line that is not blank, all split as the first one."""
    split = None
    for number, line in read_lines(path):
        if split is None:
            if line.lstrip().startswith(("{", "[")):
                raise JudgementsError(f"{path}: expected {_EXPECTED}, found JSON")
            split = _choose_split(line)
        yield number, split(line)


def _choose_split(line: str) -> Callable[[str], list[str]]:
    """Return what splits lines like this one: an id may hold a comma, or a blank between tabs or commas."""
    if len(_split_at_tabs(line)) >= 3:
        return _split_at_tabs
    cells = _split_at_blanks(line)
    is_judgement = len(cells) in (3, 4) and _NUMBER.fullmatch(cells[-1]) and not cells[0].endswith(",")
    return _split_at_commas if len(_split_at_commas(line)) >= 3 and not is_judgement else _split_at_blanks


def _split_at_tabs(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("\t")]


def _split_at_commas(line: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line]), [])]


def _split_at_blanks(line: str) -> list[str]:
    return line.split()

"""Read relevance judgements from a file, in the layouts of BEIR, TREC, Quepid and spreadsheets.

`plugin` and `model_export` both need them, and neither imports the other.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import msgspec

from reranker.beir_files import CollectionError, read_lines
from reranker.table_files import (
    Line,
    Row,
    Split,
    count_cells,
    find_columns,
    shorten,
    split_at_blanks,
    split_at_commas,
    split_at_tabs,
    split_table,
)

MAX_GRADE = 1000
"""A larger grade is taken for an id, and the columns for being in another order."""

Judgements = dict[str, dict[str, int]]
"""Query id -> document id -> grade."""

Grades = dict[str, dict[str, float]]
"""Query id -> document id -> grade, which may be a fraction."""

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_AT_BYTE = re.compile(r"\(byte ([0-9]+)\)")
_WHOLE = re.compile(r"[+-]?[0-9]+(\.0*)?")

_NAMES = {
    "id": ("query-id", "queryid", "qid", "q-id", "topic", "topic-id"),
    "text": ("query", "query-text", "querytext", "keywords"),
    "document": (
        "corpus-id", "corpusid", "document-id", "documentid", "document", "doc-id", "docid", "doc", "docno",
        "passage-id", "pid", "id",
    ),
    "grade": (
        "score", "grade", "relevance", "rel", "label", "judgement", "judgment", "rating", "relevance-grade",
    ),
}  # fmt: skip
"""The names of the columns in a header. A file may name its queries by an id, by their text, or by both."""

_WHOLE_EXPECTED = (
    "query-id, corpus-id and a whole number as score, or TREC's four columns (query, 0, document, grade)"
)
_ANY_EXPECTED = (
    "query_id, doc_id and a number as judgment, or TREC's four columns (query, 0, document, grade)"
)


class JudgementsError(CollectionError):
    """A file of judgements is not valid; says what was expected and found, in which line and column."""


@dataclass(frozen=True)
class JudgementFile:
    """What a file of judgements says.

    `texts` is query id -> text, for a file that has the texts of its queries. Without ids in the file, a
    query's text is its id. `num_unrated` counts the rows that have no grade, as Quepid exports them.
    """

    grades: Grades
    texts: dict[str, str] = field(default_factory=dict)
    num_unrated: int = 0


@dataclass(frozen=True)
class _Columns:
    """The positions of the values, and how many columns there are; `text` is None if there is none."""

    query: int
    document: int
    grade: int
    count: int
    text: int | None = None


def read_judgements(path: Path) -> Judgements:
    """Read judgements whose grades are whole numbers: three columns or TREC's four, plain or gzip.

    The columns are between tabs, commas or blanks. The first line may be a header, whose names then say which
    column is which. A judgement may be there twice, with one grade.

    Raises:
        JudgementsError: a line is no judgement or contradicts another one, or no grade is above 0.
        CollectionError: the file cannot be read.
    """
    found = _Reader(path, takes_fractions=False).read().grades
    return {query: {id_: int(grade) for id_, grade in grades.items()} for query, grades in found.items()}


def read_judgement_file(path: Path) -> JudgementFile:
    """Read judgements as `read_judgements` does, and more: fractions, JSON lines, and the texts of queries.

    A line of JSON has the members `query_id`, `doc_id` and `judgment`.

    Raises:
        JudgementsError, CollectionError: as `read_judgements`.
    """
    return _Reader(path, takes_fractions=True).read()


class _Reader:
    """Reads one file.

    Args:
        path: the file.
        takes_fractions: whether grades may be fractions, and lines JSON.
    """

    def __init__(self, path: Path, *, takes_fractions: bool) -> None:
        self._path = path
        self._takes_fractions = takes_fractions
        self._expected = _ANY_EXPECTED if takes_fractions else _WHOLE_EXPECTED
        self._grades: Grades = {}
        self._texts: dict[str, str] = {}
        self._num_unrated = 0

    def read(self) -> JudgementFile:
        """Return everything that the file says.

        Raises:
            JudgementsError, CollectionError: as `read_judgements`.
        """
        lines = read_lines(self._path)
        first = next(lines, None)
        if first is None:
            raise JudgementsError(f"{self._path}: expected judgements ({self._expected}), found none")
        every = chain([first], lines)
        if first[1].lstrip().startswith(("{", "[")):
            self._read_json(every)
        else:
            self._read_table(split_table(self._path, every, _choose_split(first[1])))
        if not any(grade > 0 for grades in self._grades.values() for grade in grades.values()):
            raise JudgementsError(
                f"{self._path}: expected a grade above 0, found none: nothing could be measured"
            )
        return JudgementFile(self._grades, self._texts, self._num_unrated)

    def _read_table(self, rows: Iterator[Row]) -> None:
        number, cells = next(rows)
        is_header = not any(_NUMBER.fullmatch(cell) for cell in cells)  # a judgement has a number
        columns = self._find_columns(number, cells) if is_header else self._guess_columns(number, cells)
        for each, found in rows if is_header else chain([(number, cells)], rows):
            self._add_row(each, found, columns)

    def _add_row(self, number: int, cells: list[str], columns: _Columns) -> None:
        if self._takes_fractions and columns.text is not None and self._is_unrated(cells, columns):
            self._num_unrated += 1
            return
        if len(cells) != columns.count:
            raise self._fail(number, None, f"{columns.count} columns, as in the first line", cells)
        for place in (columns.query, columns.document):
            if not cells[place]:
                raise self._fail(number, place, self._expected, cells)
        grade = self._parse_grade(number, columns.grade, cells)
        self._add(number, cells[columns.query], cells[columns.document], grade)
        if columns.text is not None:
            self._texts.setdefault(cells[columns.query], cells[columns.text])

    @staticmethod
    def _is_unrated(cells: list[str], columns: _Columns) -> bool:
        """Whether a row has a query, but no grade: Quepid exports such rows."""
        grade = cells[columns.grade] if columns.grade < len(cells) else ""
        return bool(cells[columns.query : columns.query + 1] and cells[columns.query]) and not grade

    def _parse_grade(self, number: int, place: int, cells: list[str]) -> float:
        score = cells[place]
        if not (_NUMBER if self._takes_fractions else _WHOLE).fullmatch(score):
            raise self._fail(number, place, self._expected, cells)
        grade = float(score)
        if abs(grade) > MAX_GRADE:
            raise JudgementsError(
                f"{self._path}, line {number}, column {place + 1}: expected a grade of at most {MAX_GRADE},"
                f" found {grade:.0f}, which looks like an id. If the columns are in another order, name them"
                " in a header: query-id, corpus-id, score"
            )
        return grade

    def _add(self, number: int, query: str, document: str, grade: float) -> None:
        known = self._grades.setdefault(query, {}).setdefault(document, grade)
        if known != grade:
            raise JudgementsError(
                f"{self._path}, line {number}: expected one grade of document {document} for query {query},"
                f" found {grade:g} after {known:g}"
            )

    def _find_columns(self, number: int, cells: list[str]) -> _Columns:
        places = find_columns(cells, _NAMES)
        queries = places["id"] or places["text"]
        named = (queries, places["document"], places["grade"])
        if any(len(found) != 1 for found in named) or len(places["text"]) > 1:
            header = "query-id, corpus-id and score"
            raise self._fail(number, None, f"{self._expected}, or a header with {header}", cells)
        text = places["text"][0] if places["text"] else None
        return _Columns(queries[0], places["document"][0], places["grade"][0], len(cells), text)

    def _guess_columns(self, number: int, cells: list[str]) -> _Columns:
        if len(cells) == 3:
            return _Columns(0, 1, 2, 3)
        if len(cells) == 4:
            return _Columns(0, 2, 3, 4)
        is_run = len(cells) == 6
        what = "a run, which is a system's answer and no judgement" if is_run else f"{len(cells)} columns"
        raise JudgementsError(
            f"{self._path}, line {number}: expected {self._expected}, found {what}: {shorten(cells)}"
        )

    def _read_json(self, lines: Iterator[Line]) -> None:
        if not self._takes_fractions:
            raise JudgementsError(f"{self._path}: expected {self._expected}, found JSON")
        for number, line in lines:
            try:
                record = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
                columns = self._find_columns(number, list(record))
                cells = [_read_scalar(value, place, columns) for place, value in enumerate(record.values())]
            except msgspec.MsgspecError as error:
                expected = '{"query_id": "q1", "doc_id": "d1", "judgment": 1} as one line of JSON'
                where = f"{self._path}, line {number}{_describe_column(line, error)}"
                raise JudgementsError(f"{where}: expected {expected}, found: {error}") from error
            self._add_row(number, cells, columns)

    def _fail(self, number: int, place: int | None, expected: str, cells: list[str]) -> JudgementsError:
        where = f"{self._path}, line {number}" + ("" if place is None else f", column {place + 1}")
        found = shorten(cells) if place is None else f"{shorten(cells[place])} in {shorten(cells)}"
        return JudgementsError(f"{where}: expected {expected}, found {found}")


def _describe_column(line: str, error: msgspec.MsgspecError) -> str:
    """Return the column in which a line is no JSON, counted from 1; nothing if it is JSON of another form."""
    if isinstance(error, msgspec.ValidationError):
        return ""
    found = _AT_BYTE.search(str(error))
    before = line.encode()[: int(found[1])].decode(errors="ignore") if found else line.rstrip()
    return f", column {len(before) + 1}"


def _read_scalar(value: msgspec.Raw, place: int, columns: _Columns) -> str:
    """Return a string, or a number as JSON writes it; nothing for a member that is not read.

    Raises:
        msgspec.MsgspecError: a member that is read is neither.
    """
    if place not in (columns.query, columns.document, columns.grade, columns.text):
        return ""
    found = msgspec.json.decode(value, type=str | int | float | None)
    return "" if found is None else str(found)


def _choose_split(line: str) -> Split:
    """Return what splits lines like this one: an id may hold a comma, or a blank between tabs or commas."""
    if count_cells(line, split_at_tabs) >= 3:
        return split_at_tabs
    cells = line.split()
    is_judgement = len(cells) in (3, 4) and _NUMBER.fullmatch(cells[-1]) and not cells[0].endswith(",")
    return (
        split_at_commas if count_cells(line, split_at_commas) >= 3 and not is_judgement else split_at_blanks
    )

"""Clicks as people export them: CSV or TSV with queries, documents, impressions and clicks."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_export.errors import TrainingError
from reranker.beir_files import CollectionError, read_lines

COLUMNS = ("query", "document", "clicks", "impressions")
ID_NAMES = ("_id", "id")
"""Members of a document that name it."""


@dataclass(frozen=True)
class ClickedDocument:
    """How often a document was shown and clicked for a query; `document` is its text."""

    query: str
    document: str
    clicks: int
    impressions: int

    @property
    def rate(self) -> float:
        """The share of impressions that were clicked."""
        return self.clicks / self.impressions


def read_clicks(file: Path, documents: Mapping[str, str] | None = None) -> list[ClickedDocument]:
    """Read a file with a header that names `COLUMNS`, in any order and among others.

    Commas or tabs lie between cells, as the header has it. Rows of one query and document are added up.

    Args:
        file: the file, perhaps gzipped.
        documents: id -> text, if the column `document` holds ids; a row of another document is left out.

    Raises:
        TrainingError: the file cannot be read, a column is missing, or a count is none.
    """
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for query, document, clicks, impressions in _read_rows(file):
        text = document if documents is None else documents.get(document)
        if text is not None:
            before = counts.get((query, text), (0, 0))
            counts[query, text] = before[0] + clicks, before[1] + impressions
    return [ClickedDocument(*key, *value) for key, value in counts.items()]


def read_documents(file: Path) -> dict[str, str]:
    """Return id -> text of a file of JSON lines: `_id` or `id`, and texts in any other members, in order.

    Raises:
        TrainingError: the file cannot be read, or a line is no object with an id.
    """
    found: dict[str, str] = {}
    for number, line in _read_lines(file):
        try:
            row: Any = json.loads(line)
        except ValueError as error:
            raise TrainingError(f"{file}, line {number}: expected a line of JSON, found: {error}") from error
        name = next((key for key in ID_NAMES if isinstance(row, dict) and key in row), None)
        if name is None:
            raise TrainingError(
                f"{file}, line {number}: expected an object with _id or id, found {line[:60]!r}"
            )
        texts = [value for key, value in row.items() if key != name and isinstance(value, str) and value]
        found[str(row[name])] = "\n".join(texts)
    return found


def _read_rows(file: Path) -> Iterator[tuple[str, str, int, int]]:
    lines = _read_lines(file)
    _, header = next(lines, (1, ""))
    delimiter = "\t" if "\t" in header else ","
    names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise TrainingError(
            f"{file}: expected the columns {', '.join(COLUMNS)}, found {header[:80].strip()!r}"
        )
    places = [names.index(name) for name in COLUMNS]
    texts = (line for _, line in lines)
    if delimiter == "\t":  # where a quote is a quote
        rows = csv.reader(texts, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    else:
        rows = csv.reader(texts, delimiter=delimiter)
    try:
        for number, row in enumerate(rows, 2):
            if len(row) != len(names):
                raise TrainingError(f"{file}, row {number}: expected {len(names)} cells, found {len(row)}")
            query, document, clicks, impressions = (row[place].strip() for place in places)
            yield query, document, *_parse_counts(clicks, impressions, f"{file}, row {number}")
    except csv.Error as error:
        raise TrainingError(f"{file}: expected cells as a spreadsheet writes them, found: {error}") from error


def _parse_counts(clicks: str, impressions: str, where: str) -> tuple[int, int]:
    if clicks.isascii() and clicks.isdigit() and impressions.isascii() and impressions.isdigit():
        found = int(clicks), int(impressions)
        if found[0] <= found[1] and found[1] > 0:
            return found
    raise TrainingError(
        f"{where}: expected impressions of at least 1 and at most as many clicks, found {impressions!r} and"
        f" {clicks!r}"
    )


def _read_lines(file: Path) -> Iterator[tuple[int, str]]:
    try:
        yield from read_lines(file)
    except CollectionError as error:
        raise TrainingError(str(error)) from error

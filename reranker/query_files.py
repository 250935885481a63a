"""Read the queries of an evaluation from a file, in the layouts of spreadsheets, BEIR and TREC."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from reranker.beir_files import CollectionError, find_file, read_lines
from reranker.table_files import (
    Line,
    Row,
    count_cells,
    find_columns,
    shorten,
    split_at_commas,
    split_at_tabs,
    split_table,
)

EXPECTED = "a header with query_id and query, or lines of JSON with query_id and query, or TREC topics"

_NAMES = {
    "id": ("query-id", "queryid", "qid", "q-id", "id", "-id", "topic-id"),
    "text": ("query", "query-text", "querytext", "text", "keywords"),
    "body": ("body",),
}
"""The names of columns, and of the members of a line of JSON."""

_TOPIC = re.compile(
    r"<(?:top|topic)(?P<attributes>\s[^>]*)?>(?P<inside>.*?)</(?:top|topic)>", re.DOTALL | re.I
)
_TOPIC_ID = re.compile(r"<num(?:ber)?>\s*(?:number\s*:)?\s*([^\s<]+)", re.I)
_TOPIC_ATTRIBUTE = re.compile(r"""\b(?:number|id)\s*=\s*["']([^"']+)["']""", re.I)
_TOPIC_TEXT = tuple(re.compile(rf"<{tag}>\s*(?:topic\s*:)?\s*([^<]+)", re.I) for tag in ("title", "query"))


class QueriesError(CollectionError):
    """A file of queries is not valid; says what was expected and found, and in which line."""


@dataclass(frozen=True)
class EvaluationQuery:
    """A query of an evaluation: its text, and the whole body of its search if the file has one."""

    text: str
    body: dict[str, Any] | None = None


Queries = dict[str, EvaluationQuery]
"""Query id -> query, in the order of the file."""


def read_query_file(path: Path) -> Queries:
    """Read queries from a CSV or TSV file, lines of JSON, TREC topics, or a folder in BEIR layout.

    A table begins with a header, or has exactly two columns: id and text. A query without an id has its text
    as id. In JSON, `body` is the whole body of a search; the text is then what people call it.

    Raises:
        QueriesError: a line is no query, or an id has two queries.
        CollectionError: the file cannot be read.
    """
    if path.is_dir():
        path = find_file(path, "queries.jsonl")
    lines = read_lines(path)
    first = next(lines, None)
    if first is None:
        raise QueriesError(f"{path}: expected queries ({EXPECTED}), found none")
    begin, every = first[1].lstrip(), chain([first], lines)
    if begin.startswith("{"):
        found = _read_json(path, every)
    elif begin.startswith("<"):
        found = _read_topics(path, every)
    else:
        split = split_at_tabs if count_cells(first[1], split_at_tabs) >= 2 else split_at_commas
        found = _read_table(path, split_table(path, every, split))
    return _collect(path, found)


def _collect(path: Path, found: Iterator[tuple[int, str, EvaluationQuery]]) -> Queries:
    queries: Queries = {}
    for number, id_, query in found:
        if queries.setdefault(id_, query) != query:
            raise QueriesError(
                f"{path}, line {number}: expected one text of query {id_}, found {shorten(query.text)} after"
                f" {shorten(queries[id_].text)}"
            )
    if not queries:
        raise QueriesError(f"{path}: expected queries ({EXPECTED}), found none")
    return queries


def _read_table(path: Path, rows: Iterator[Row]) -> Iterator[tuple[int, str, EvaluationQuery]]:
    number, cells = next(rows)
    places = find_columns(cells, _NAMES)
    if len(places["text"]) == 1 and len(places["id"]) <= 1:
        text = places["text"][0]
        id_ = places["id"][0] if places["id"] else text
    elif len(cells) == 2:
        id_, text, rows = 0, 1, chain([(number, cells)], rows)
    else:
        raise QueriesError(f"{path}, line {number}: expected {EXPECTED}, found {shorten(cells)}")
    count = len(cells)
    for number, cells in rows:
        if len(cells) != count:
            raise QueriesError(
                f"{path}, line {number}: expected {count} columns, as in the first line,"
                f" found {shorten(cells)}"
            )
        for place in (id_, text):
            if not cells[place]:
                raise QueriesError(
                    f"{path}, line {number}, column {place + 1}: expected an id and a text,"
                    f" found nothing in {shorten(cells)}"
                )
        yield number, cells[id_], EvaluationQuery(cells[text])


def _read_json(path: Path, lines: Iterator[Line]) -> Iterator[tuple[int, str, EvaluationQuery]]:
    for number, line in lines:
        try:
            record = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise QueriesError(
                f'{path}, line {number}: expected {{"query_id": "q1", "query": "..."}} as one line of JSON,'
                f" found: {error}"
            ) from error
        yield number, *_read_record(f"{path}, line {number}", record)


def _read_record(where: str, record: dict[str, Any]) -> tuple[str, EvaluationQuery]:
    """Return the id and the query of one object.

    Raises:
        QueriesError: it has neither text nor body, or a member of another type.
    """
    members = list(record.values())
    places = find_columns(list(record), _NAMES)
    found = {name: members[place[0]] if place else None for name, place in places.items()}
    id_, text, body = found["id"], found["text"], found["body"]
    if text is not None and not isinstance(text, str):
        raise QueriesError(f"{where}: expected the text of a query as a string, found {shorten(text)}")
    if body is not None and not isinstance(body, dict):
        raise QueriesError(f"{where}: expected the body of a search as an object, found {shorten(body)}")
    if isinstance(id_, bool) or not isinstance(id_, str | int | None):
        raise QueriesError(f"{where}: expected an id as a string or a whole number, found {shorten(id_)}")
    words = (text or "").strip()
    name = words if id_ is None else str(id_)
    if not name or (not words and body is None):
        raise QueriesError(f"{where}: expected query_id and query, or body, found {shorten(record)}")
    return name, EvaluationQuery(words or name, body)


def _read_topics(path: Path, lines: Iterator[Line]) -> Iterator[tuple[int, str, EvaluationQuery]]:
    """Yield TREC topics: `<top>` with `<num>` and `<title>`, or `<topic number="1">` with `<query>`."""
    numbers, texts = zip(*lines, strict=True)
    whole = "".join(texts)
    for topic in _TOPIC.finditer(whole):
        number = numbers[whole.count("\n", 0, topic.start())]
        inside, attributes = topic["inside"], topic["attributes"] or ""
        id_ = _TOPIC_ID.search(inside) or _TOPIC_ATTRIBUTE.search(attributes)
        text = next((found for pattern in _TOPIC_TEXT if (found := pattern.search(inside))), None)
        if id_ is None or text is None or not text[1].strip():
            raise QueriesError(
                f"{path}, line {number}: expected a topic with a number and a title, found"
                f" {shorten(topic[0])}"
            )
        yield number, html.unescape(id_[1]), EvaluationQuery(" ".join(html.unescape(text[1]).split()))

"""A test collection in the layout of BEIR: documents, queries and relevance judgements."""

import gzip
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from plugin.errors import CommandError

_Record = TypeVar("_Record")
_QRELS = ("qrels.tsv", "qrels/test.tsv")


class CollectionError(CommandError):
    """A file of a collection is missing or not what it must be: says which, and which line."""


class _Query(msgspec.Struct):
    id: str = msgspec.field(name="_id")
    text: str


class _Document(msgspec.Struct):
    id: str = msgspec.field(name="_id")
    text: str = ""
    title: str = ""


@dataclass(frozen=True)
class Collection:
    """A collection ready to be searched.

    `queries` is query id -> text; `qrels` is query id -> document id -> grade, only for those queries;
    `left_out` is query id -> documents that are no hits of that query (the paper that a Cranfield query was
    made from); `text_fields` are the fields that have text in any document.
    """

    name: str
    corpus: Path
    num_documents: int
    text_fields: tuple[str, ...]
    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]
    left_out: dict[str, set[str]]

    def counted(self, query: str, ids: Sequence[str], judged_only: bool) -> list[str]:
        """Return those ids, in order, that count as hits of a query: not left out, and judged where asked."""
        left_out, judged = self.left_out.get(query, set()), self.qrels[query]
        return [id_ for id_ in ids if id_ not in left_out and (id_ in judged or not judged_only)]


def read_collection(
    folder: Path, *, queries_limit: int | None = None, qrels_file: Path | None = None
) -> Collection:
    """Read `corpus.jsonl`, `queries.jsonl`, `qrels.tsv` or `qrels/test.tsv`, and `source_docs.tsv` if there.

    Each file may be gzipped. Queries without judgements are left out; `queries_limit` keeps the first ones,
    in the order of the file.

    Raises:
        CollectionError: a file is missing, or a line of it is not as BEIR writes it.
    """
    judged = read_qrels(qrels_file or _first_of(folder, *_QRELS))
    texts = read_queries(_first_of(folder, "queries.jsonl"))
    queries = {query: texts[query] for query in [q for q in texts if q in judged][:queries_limit]}
    if not queries:
        raise CollectionError(f"{folder}: expected judged queries, found none that stands in both files")
    corpus = _first_of(folder, "corpus.jsonl")
    num_documents, fields = _survey(corpus)
    left_out = _read_left_out(folder)
    qrels = {query: judged[query] for query in queries}
    return Collection(folder.resolve().name, corpus, num_documents, fields, queries, qrels, left_out)


def _first_of(folder: Path, *names: str) -> Path:
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    raise CollectionError(f"{folder}: expected {' or '.join(names)}, plain or gzipped (.gz), found neither")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of a plain or gzipped file."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as lines:
            yield from enumerate(lines, 1)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise CollectionError(f"expected UTF-8 text, plain or gzipped, in {path}, found: {error}") from error


def _objects(path: Path, type_: type[_Record]) -> Iterator[_Record]:
    decoder = msgspec.json.Decoder(type_)
    for number, line in _lines(path):
        try:
            yield decoder.decode(line)
        except msgspec.MsgspecError as error:
            raise CollectionError(f"{path}, line {number}: {error}") from error


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the numbered rows of a file between tabs, without its header."""
    for number, line in _lines(path):
        row = line.rstrip("\r\n").split("\t")
        if row[0] != "query-id":
            yield number, row


def _survey(path: Path) -> tuple[int, tuple[str, ...]]:
    """Count the documents and name the fields that have text in any of them."""
    count, titles = 0, 0
    for document in _objects(path, _Document):
        count += 1
        titles += bool(document.title.strip())
    return count, ("title", "text") if titles else ("text",)


def read_queries(path: Path) -> dict[str, str]:
    """Return query id -> text of a file of JSON lines, plain or gzipped.

    Raises:
        CollectionError: a line of it is not as BEIR writes it.
    """
    return {query.id: query.text for query in _objects(path, _Query)}


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Return query id -> document id -> grade of a file between tabs, plain or gzipped.

    Raises:
        CollectionError: a line of it is not as BEIR writes it.
    """
    qrels: dict[str, dict[str, int]] = defaultdict(dict)
    for number, row in _rows(path):
        try:
            query, document, grade = row[:3]
            qrels[query][document] = int(grade)
        except ValueError as error:
            expected = "query-id, corpus-id and a whole number, between tabs"
            raise CollectionError(f"{path}, line {number}: expected {expected}, found {row}") from error
    return dict(qrels)


def _read_left_out(folder: Path) -> dict[str, set[str]]:
    left_out: dict[str, set[str]] = defaultdict(set)
    for path in (folder / "source_docs.tsv", folder / "source_docs.tsv.gz"):
        for number, row in _rows(path) if path.is_file() else ():
            if len(row) < 2:
                raise CollectionError(
                    f"{path}, line {number}: expected query-id, tab, corpus-id, found {row}"
                )
            left_out[row[0]].add(row[1])
    return dict(left_out)

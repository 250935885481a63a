"""The files of a test collection in the layout of BEIR: lines, records and queries, plain or gzip.

`plugin` and `model_export` both read collections, and neither imports the other: what they share is here, as
the judgements are in `reranker.judgements`.
"""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from reranker.errors import RerankerError

CORPUS = "corpus.jsonl"
"""Where a collection has its documents."""

QRELS = ("qrels.tsv", "qrels/test.tsv")
"""Where a collection has its judgements."""

_Record = TypeVar("_Record")
_GZIP_MAGIC = b"\x1f\x8b"


class CollectionError(RerankerError):
    """A file of a collection is missing or not what it must be: says which, and which line."""


class QueryRecord(msgspec.Struct):
    """A line of `queries.jsonl`."""

    id: str | int = msgspec.field(name="_id")
    text: str


class DocumentRecord(msgspec.Struct):
    """A line of `corpus.jsonl`."""

    id: str | int = msgspec.field(name="_id")
    text: str | None = ""
    title: str | None = ""


def list_names(file: Path) -> tuple[Path, Path]:
    """Return a file's two names, plain and gzipped."""
    return file, file.with_name(f"{file.name}.gz")


def find_file(folder: Path, *names: str) -> Path:
    """Return the first file of these names in a folder, plain or gzipped.

    Raises:
        CollectionError: there is none.
    """
    for file in (each for name in names for each in list_names(folder / name)):
        if file.is_file():
            return file
    raise CollectionError(
        f"expected a collection in BEIR layout in {folder}, found no {' or '.join(names)}, plain or gzipped"
    )


def read_lines(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of a plain or gzipped file, without blank ones.

    Raises:
        CollectionError: it cannot be read, or is not UTF-8.
    """
    try:
        with file.open("rb") as data:
            is_gzip = data.read(2) == _GZIP_MAGIC
        with (gzip.open if is_gzip else open)(file, "rt", encoding="utf-8-sig") as lines:
            yield from ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise CollectionError(f"expected UTF-8 text, plain or gzipped, in {file}, found: {error}") from error


def read_records(file: Path, kind: type[_Record]) -> Iterator[_Record]:
    """Yield the records of a file of JSON lines, plain or gzipped.

    Raises:
        CollectionError: the file cannot be read, or a line is not as BEIR writes it.
    """
    decoder = msgspec.json.Decoder(kind)
    for number, line in read_lines(file):
        try:
            yield decoder.decode(line)
        except msgspec.MsgspecError as error:
            expected = '{"_id": "1", "text": "..."} as one line of JSON'
            raise CollectionError(f"{file}, line {number}: expected {expected}, found: {error}") from error


def read_queries(file: Path) -> dict[str, str]:
    """Return query id -> text of a file of JSON lines, plain or gzipped.

    Raises:
        CollectionError: the file cannot be read, a line is not as BEIR writes it, or an id has two texts.
    """
    texts: dict[str, str] = {}
    for query in read_records(file, QueryRecord):
        if texts.setdefault(str(query.id), query.text) != query.text:
            raise CollectionError(f"{file}: expected one text of query {query.id}, found two")
    return texts

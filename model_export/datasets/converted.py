"""A converted collection, and how it is written: BEIR's layout, gzipped."""

import gzip
import io
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from model_export.datasets.catalogue import Counts, Dataset
from model_export.errors import ExportError

Judgement = tuple[str, str, int]
"""Query id, document id, grade."""


@dataclass(frozen=True)
class CollectionDocument:
    """One document."""

    id: str
    text: str
    title: str = ""


@dataclass
class Converted:
    """What a converter makes of upstream files.

    `queries` and `qrels` are kept by split: `""` is the one that `queries.jsonl` and `qrels.tsv` hold.
    `tables` are further files, by name without ending.
    """

    documents: list[CollectionDocument] = field(default_factory=list)
    queries: dict[str, dict[str, str]] = field(default_factory=dict)
    qrels: dict[str, list[Judgement]] = field(default_factory=dict)
    tables: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)

    @property
    def counts(self) -> Counts:
        """How much it holds, of the main split."""
        return Counts(
            documents=len(self.documents),
            queries=len(self.queries.get("", {})),
            judgements=len(self.qrels.get("", [])),
            pairs=len(self.tables.get("pairs", [])),
        )


def join_lines(text: str) -> str:
    """Return a text with one blank in place of each run of white space."""
    return " ".join(text.split())


def write(converted: Converted, dataset: Dataset, folder: Path) -> None:
    """Write a collection into a folder that does not exist yet; it appears whole or not at all.

    Raises:
        ExportError: the collection does not hold what the catalogue says.
    """
    if converted.counts != dataset.counts:
        raise ExportError(f"{folder.name}: expected {dataset.counts}, found {converted.counts}")
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    _write_files(converted, draft)
    source = f"{dataset.about}\nSource: {dataset.source}\nLicence: {dataset.licence}\n"
    (draft / "SOURCE.txt").write_text(source, encoding="utf-8")
    draft.replace(folder)


def _write_files(converted: Converted, folder: Path) -> None:
    if converted.documents:
        rows = ({"_id": each.id, "title": each.title, "text": each.text} for each in converted.documents)
        _write_objects(folder / "corpus.jsonl.gz", rows)
    for split, queries in converted.queries.items():
        rows = ({"_id": name, "text": text} for name, text in queries.items())
        _write_objects(folder / f"{_name_split('queries', split)}.jsonl.gz", rows)
    for split, qrels in converted.qrels.items():
        lines = (f"{query}\t{document}\t{grade}" for query, document, grade in qrels)
        file = folder / f"{_name_split('qrels', split)}.tsv.gz"
        _write_lines(file, ["query-id\tcorpus-id\tscore", *lines])
    for name, table in converted.tables.items():
        _write_lines(folder / f"{name}.tsv.gz", ("\t".join(row) for row in table))


def _name_split(kind: str, split: str) -> str:
    return f"{kind}_{split}" if split else kind


def _write_objects(file: Path, rows: Iterable[dict[str, str]]) -> None:
    _write_lines(file, (json.dumps(row, ensure_ascii=False) for row in rows))


def _write_lines(file: Path, lines: Iterable[str]) -> None:
    with _open_gzip(file) as target:
        target.writelines(f"{line}\n" for line in lines)


@contextmanager
def _open_gzip(file: Path) -> Iterator[TextIO]:
    """Open a gzipped text file; the same text gives the same bytes."""
    with (
        file.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as text,
    ):
        yield text

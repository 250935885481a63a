"""Converters of collections that come as one archive: BEIR's own form, and Home Depot's table."""

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

from model_export.datasets.converted import CollectionDocument, Converted, Judgement, join_lines
from model_export.errors import ExportError

_SPLITS = {"test": "", "train": "train", "dev": "dev"}
"""BEIR's splits and where they go."""

_GRADES = ((1.5, 0), (2.2, 1), (2.75, 2), (3.0, 3))
"""Home Depot's mean ratings, up to and including each, and their grades."""


def convert_nfcorpus(folder: Path) -> Converted:
    """Convert BEIR's `nfcorpus.zip`: each split has its own queries."""
    with _open_archive(folder / "nfcorpus.zip") as archive:
        documents = [
            CollectionDocument(row["_id"], row["text"], row.get("title", ""))
            for row in map(json.loads, _read_lines(archive, "nfcorpus/corpus.jsonl"))
        ]
        asked = {
            row["_id"]: row["text"] for row in map(json.loads, _read_lines(archive, "nfcorpus/queries.jsonl"))
        }
        qrels = {
            place: list(_read_judgements(archive, f"nfcorpus/qrels/{split}.tsv"))
            for split, place in _SPLITS.items()
        }
    queries = {
        place: {query: asked[query] for query in dict.fromkeys(query for query, _, _ in judged)}
        for place, judged in qrels.items()
    }
    return Converted(documents, queries, qrels)


def convert_homedepot(folder: Path) -> Converted:
    """Convert Kaggle's `train.csv.zip`: a row is a search term, a product's title and its mean rating."""
    documents: dict[str, CollectionDocument] = {}
    queries: dict[str, str] = {}
    grades: dict[tuple[str, str], int] = {}

    with _open_archive(folder / "train.csv.zip") as archive, archive.open("train.csv") as packed:
        for row in csv.DictReader(io.TextIOWrapper(packed, encoding="latin-1", newline="")):
            title = join_lines(row["product_title"])
            documents[row["product_uid"]] = CollectionDocument(row["product_uid"], title)
            query = queries.setdefault(join_lines(row["search_term"]), str(len(queries) + 1))
            pair = query, row["product_uid"]
            grades[pair] = _grade_rating(float(row["relevance"]))

    return Converted(
        [documents[name] for name in sorted(documents, key=int)],
        {"": {name: text for text, name in queries.items()}},
        {"": [(*pair, grade) for pair, grade in grades.items()]},
    )


def _grade_rating(rating: float) -> int:
    return next(grade for highest, grade in _GRADES if rating <= highest)


def _read_judgements(archive: zipfile.ZipFile, name: str) -> Iterator[Judgement]:
    lines = _read_lines(archive, name)
    next(lines)  # the header
    for line in lines:
        query, document, grade = line.split("\t")
        yield query, document, int(grade)


def _read_lines(archive: zipfile.ZipFile, name: str) -> Iterator[str]:
    with archive.open(name) as packed:
        yield from (line.rstrip("\n") for line in io.TextIOWrapper(packed, encoding="utf-8"))


def _open_archive(file: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except (OSError, zipfile.BadZipFile) as error:
        raise ExportError(f"expected a zip archive in {file}, found: {error}") from error

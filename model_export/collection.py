"""A collection in BEIR layout, and its first stage: BM25's best hits for each query."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import bm25s
import numpy as np

from model_export.errors import ExportError

WINDOW = 100
"""Hits of a query that are reranked."""

K1, B = 1.2, 0.75
"""BM25's parameters, as OpenSearch has them."""

Hits = dict[str, dict[str, float]]
"""Query id -> document id -> first-stage score."""


@dataclass(frozen=True)
class Collection:
    """Documents, queries, judgements (query id -> document id -> grade) and, where given, a ready run."""

    name: str
    documents: dict[str, str]
    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]
    run: Hits | None

    @cached_property
    def hits(self) -> Hits:
        """The run that came with the collection, or BM25 over all documents; WINDOW hits a query."""
        return self.run if self.run is not None else bm25(self.documents, self.queries)

    @property
    def hit_ids(self) -> list[str]:
        """Every document that is a hit of some query."""
        return sorted({document for hits in self.hits.values() for document in hits})


def read(folder: Path, max_queries: int | None = None) -> Collection:
    """Read a folder with `corpus.jsonl.gz`, `queries.jsonl.gz`, `qrels.tsv.gz` and maybe `bm25_run.tsv.gz`.

    Only queries with a judgement are kept, the first `max_queries` of them.

    Raises:
        ExportError: a file is missing.
    """
    try:
        qrels = _qrels(folder / "qrels.tsv.gz")
        queries = {row["_id"]: row["text"] for row in _json_lines(folder / "queries.jsonl.gz")}
        documents = {
            row["_id"]: f"{row.get('title', '')} {row['text']}".strip()
            for row in _json_lines(folder / "corpus.jsonl.gz")
        }
    except FileNotFoundError as error:
        raise ExportError(
            f"expected a collection in BEIR layout, gzipped, found no {error.filename}"
        ) from error
    kept = dict([(i, text) for i, text in queries.items() if i in qrels][:max_queries])
    return Collection(folder.name, documents, kept, qrels, _run(folder / "bm25_run.tsv.gz", kept, documents))


def _json_lines(file: Path) -> Iterator[dict[str, str]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _table(file: Path) -> Iterator[dict[str, str]]:
    with io.TextIOWrapper(gzip.open(file), encoding="utf-8") as lines:
        yield from csv.DictReader(lines, delimiter="\t")


def _qrels(file: Path) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    for row in _table(file):
        qrels.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    return qrels


def _run(file: Path, queries: dict[str, str], documents: dict[str, str]) -> Hits | None:
    if not file.exists():
        return None
    run: Hits = {query: {} for query in queries}
    for row in _table(file):
        if row["query-id"] in run and row["corpus-id"] in documents:
            run[row["query-id"]][row["corpus-id"]] = float(row["score"])
    return run


def bm25(documents: dict[str, str], queries: dict[str, str], window: int = WINDOW) -> Hits:
    """Return the `window` best hits of each query by BM25, those with a score above 0."""
    ids = np.array(list(documents))
    index = bm25s.BM25(k1=K1, b=B)
    index.index(
        bm25s.tokenize(list(documents.values()), stopwords=None, show_progress=False), show_progress=False
    )
    tokens = bm25s.tokenize(list(queries.values()), stopwords=None, show_progress=False)
    found = index.retrieve(tokens, k=min(window, len(ids)), show_progress=False)
    return {
        query: {str(ids[i]): float(score) for i, score in zip(rows, scores, strict=True) if score > 0}
        for query, rows, scores in zip(queries, found.documents, found.scores, strict=True)
    }

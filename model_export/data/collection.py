"""A collection in BEIR layout, and its first stage: BM25's best hits for each query."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import bm25s
import numpy as np

from reranker.beir_files import (
    QRELS,
    CollectionError,
    DocumentRecord,
    find_file,
    list_names,
    read_lines,
    read_queries,
    read_records,
)
from reranker.judgements import read_judgements

WINDOW = 100
"""How many hits of a query are reranked."""

K1, B = 1.2, 0.75
"""BM25's parameters, with OpenSearch's defaults."""

Hits = dict[str, dict[str, float]]
"""Query id -> document id -> first-stage score."""


@dataclass(frozen=True)
class JudgedCollection:
    """Documents, queries, judgements (query id -> document id -> grade) and perhaps a ready run."""

    name: str
    documents: dict[str, str]
    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]
    run: Hits | None

    @cached_property
    def hits(self) -> Hits:
        """The run that came with the collection, or BM25 over all documents; WINDOW hits a query."""
        return self.run if self.run is not None else search_bm25(self.documents, self.queries)

    @property
    def hit_ids(self) -> list[str]:
        """The ids of all documents that are a hit of some query."""
        return sorted({document for hits in self.hits.values() for document in hits})


def load_collection(folder: Path, max_queries: int | None = None) -> JudgedCollection:
    """Read `corpus.jsonl`, `queries.jsonl`, `qrels.tsv` or `qrels/test.tsv`, and `bm25_run.tsv` if it exists.

    Each file may be gzipped. Only queries with a judgement are kept, the first `max_queries` of them.

    Raises:
        CollectionError: a file is missing, a line is not in BEIR's format, or no judged document exists.
    """
    qrels_file = find_file(folder, *QRELS)
    qrels = read_judgements(qrels_file)
    queries = read_queries(find_file(folder, "queries.jsonl"))
    corpus = find_file(folder, "corpus.jsonl")
    documents = {
        str(row.id): f"{row.title or ''} {row.text or ''}".strip()
        for row in read_records(corpus, DocumentRecord)
    }
    judged = {document for grades in qrels.values() for document in grades}
    if judged.isdisjoint(documents):
        raise CollectionError(
            f"{corpus}: expected judged documents, found 0 of the {len(judged)} in {qrels_file}"
        )
    kept = dict([(i, text) for i, text in queries.items() if i in qrels][:max_queries])
    run = next((file for file in list_names(folder / "bm25_run.tsv") if file.is_file()), None)
    hits = _read_run(run, kept, documents) if run else None
    return JudgedCollection(folder.name, documents, kept, qrels, hits)


def _read_run(file: Path, queries: dict[str, str], documents: dict[str, str]) -> Hits:
    run: Hits = {query: {} for query in queries}
    rows = ((number, line.rstrip("\r\n").split("\t")) for number, line in read_lines(file))
    columns = next(rows, (1, []))[1]
    if not {"query-id", "corpus-id", "score"} <= set(columns):
        raise CollectionError(
            f"{file}, line 1: expected the columns query-id, corpus-id, score, found {columns}"
        )
    for number, cells in rows:
        try:
            row = dict(zip(columns, cells, strict=True))
            score = float(row["score"])
        except ValueError as error:
            raise CollectionError(f"{file}, line {number}: expected {columns}, found {cells}") from error
        if row["query-id"] in run and row["corpus-id"] in documents:
            run[row["query-id"]][row["corpus-id"]] = score
    return run


def search_bm25(documents: dict[str, str], queries: dict[str, str], window: int = WINDOW) -> Hits:
    """Return each query's `window` best hits by BM25 that score above 0."""
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

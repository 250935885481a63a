"""Training groups: a query's relevant document first, then hard negatives from BM25 and the student."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from model_export.data.collection import Hits, search_bm25
from model_export.data.examples import Examples
from model_export.errors import TrainingError
from reranker.arrays import Floats

DEPTH = 50
"""Negatives are drawn from this many best hits."""


@dataclass(frozen=True)
class Group:
    """One query, `documents` with a relevant one first, and their labels: relevance, 0 to 1."""

    query: str
    documents: tuple[str, ...]
    labels: tuple[float, ...]


def find_bm25_hits(examples: Examples) -> Hits:
    """Return BM25's DEPTH best hits of every query."""
    return search_bm25(examples.documents, examples.queries, DEPTH)


def find_student_hits(
    queries: Sequence[str], query_vectors: Floats, documents: Sequence[str], document_vectors: Floats
) -> Hits:
    """Return the DEPTH documents nearest to each query: ids with vectors (queries, dim), (documents, dim)."""
    hits: Hits = {}
    for query, vector in zip(queries, query_vectors, strict=True):
        cosines = document_vectors @ vector
        best = np.argsort(-cosines)[:DEPTH]
        hits[query] = {documents[i]: float(cosines[i]) for i in best}
    return hits


def make_groups(examples: Examples, pools: Sequence[tuple[Hits, int]], *, seed: int) -> list[Group]:
    """Return one group for each relevant pair.

    Args:
        examples: queries with their labels.
        pools: hits to draw negatives from, and how many from each; judged negatives of a query come first,
            and if hits run out, any other documents fill up.
        seed: decides the draw.

    Raises:
        TrainingError: no query has a relevant document, or there are too few documents.
    """
    size = sum(count for _, count in pools)
    everything, found = list(examples.documents), []
    if len(everything) <= size:
        raise TrainingError(
            f"expected more than {size} documents to draw negatives from, found {len(everything)}"
        )
    for query in examples.queries:
        random = Random(f"{seed} {query}")
        for document in examples.list_relevant(query):
            negatives = _draw_negatives(examples, query, pools, everything, random)
            labels = [examples.gold[query].get(each, 0.0) for each in (document, *negatives)]
            found.append(Group(query, (document, *negatives), tuple(labels)))
    if not found:
        raise TrainingError(
            "expected at least one query with a relevant document, found one class only: every label is 0"
        )
    return found


def _draw_negatives(
    examples: Examples, query: str, pools: Sequence[tuple[Hits, int]], everything: list[str], random: Random
) -> list[str]:
    grades = examples.gold[query]
    taken = [document for document, grade in grades.items() if grade == 0]
    random.shuffle(taken)
    size = sum(count for _, count in pools)
    taken = taken[:size]
    for hits, count in pools:
        pool = [hit for hit in hits.get(query, ()) if hit not in grades and hit not in taken]
        taken += random.sample(pool, min(count, len(pool), size - len(taken)))
    if len(taken) < size:
        others = [each for each in everything if each not in grades and each not in taken]
        if len(others) < size - len(taken):
            raise TrainingError(f"expected {size} documents beside those of query {query}, found too few")
        taken += random.sample(others, size - len(taken))
    return taken

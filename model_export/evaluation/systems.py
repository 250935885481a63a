"""The systems that are compared: scores of hits, alone and fused with BM25."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import thread_time

import numpy as np

from model_export.data.collection import Hits, JudgedCollection
from model_export.data.quality import fuse_scores
from model_export.evaluation.cosines import encode_hits
from model_export.evaluation.shipped import rank_as_shipped
from model_export.train.score_cache import score_once
from model_export.train.teacher import Teacher
from reranker.bundle import Bundle
from reranker.crossing import Crossing


@dataclass(frozen=True)
class System:
    """Scores of every collection's hits, their fusion weight, and the time of a query.

    `weight` is that of `log_linear`; 0 without a crossing means the first stage. `query_ms` is the processor
    time of one query with its hits' scores, NaN if it was not measured.
    """

    name: str
    runs: tuple[Hits, ...]
    weight: float
    crossing: Crossing | None = None
    query_ms: float = float("nan")

    def fuse(self, collections: Sequence[JudgedCollection]) -> "System":
        """Return the same scores fused with the first stage's."""
        runs = [
            fuse_scores(data.hits, run, self.weight) for data, run in zip(collections, self.runs, strict=True)
        ]
        return System(f"{self.name} + BM25", tuple(runs), self.weight, query_ms=self.query_ms)


def make_first_stage(collections: Sequence[JudgedCollection]) -> System:
    """Return BM25 alone."""
    return System("BM25", tuple(data.hits for data in collections), 0.0, query_ms=0.0)


def score_with_bundle(bundle: Bundle, collections: Sequence[JudgedCollection], cache: Path) -> System:
    """Score all hits with a bundle, on one thread, as searches do."""
    encode, crossing = bundle.load_query_encoder(), bundle.load_crossing()
    runs, times = [], []
    for data in collections:
        vectors = encode_hits(bundle, data, cache, threads=1)
        run: Hits = {}
        for query, text in data.queries.items():
            hits = list(data.hits[query])
            matrix = np.concatenate([vectors[hit] for hit in hits]) if hits else None
            start = thread_time()
            vector = encode(text)
            scores = crossing(vector, matrix) if matrix is not None else np.empty(0, np.float32)
            times.append(1000 * (thread_time() - start))
            ends = np.cumsum([len(vectors[hit]) for hit in hits])[:-1]
            best = [float(part.max()) for part in np.split(scores, ends)] if hits else []
            run[query] = dict(zip(hits, best, strict=True))
        runs.append(run)
    weight = bundle.manifest.fusion.weight
    return System(bundle.name, tuple(runs), weight, crossing, float(np.median(times)))


def order_as_shipped(
    system: System, bundle: Bundle, collections: Sequence[JudgedCollection], cache: Path
) -> System:
    """Return a bundle's scored `system` in the order of searches, with the bundle's own feedback."""
    runs = [rank_as_shipped(bundle, data, [bundle.manifest.fusion], cache)[0] for data in collections]
    return System(f"{bundle.name} as shipped", tuple(runs), system.weight, query_ms=system.query_ms)


def score_with_teacher(
    name: str, teacher: Teacher, collections: Sequence[JudgedCollection], cache: Path, weight: float
) -> System:
    """Score all hits with a teacher; its scores are cached in `cache`, so its time is not measured."""
    runs = []
    for data in collections:
        pairs = [(query, hit) for query, hits in data.hits.items() for hit in hits]
        texts = [(data.queries[query], data.documents[hit]) for query, hit in pairs]
        run: Hits = {query: {} for query in data.queries}
        scores = score_once(teacher, texts, cache / "teacher.sqlite").tolist()
        for (query, hit), score in zip(pairs, scores, strict=True):
            run[query][hit] = score
        runs.append(run)
    return System(name, tuple(runs), weight)

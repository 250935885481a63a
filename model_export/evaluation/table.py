"""Compare encoders: nDCG@10 of the reranked hits, and the time of a query."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_export.bundle.compare import load_exact_encoder
from model_export.data.collection import JudgedCollection
from model_export.data.quality import fuse_scores, measure_ndcg
from model_export.evaluation.cosines import encode_hits, score_hits
from model_export.model.base import Base
from model_export.model.tokens import QUERY_TOKENS, load_tokeniser
from reranker.bundle import Bundle
from reranker.encoder import Encoder, Ids, QueryEncoder, Tokeniser

LENGTHS_TOKENS = (8, 12, 16, 24, 32)
ROUNDS = 200
LONG_TEXT = "how to wait a few seconds and then read a file line by line " * 4
"""Cut at each length; its words do not affect the time."""


@dataclass(frozen=True)
class Candidate:
    """A query encoder, compared on the documents of one bundle."""

    name: str
    encoder: Encoder
    prefix: str
    bundle: Bundle

    def load_tokeniser(self, max_tokens: int, *, prefix: str) -> Tokeniser:
        """Return the bundle's tokeniser with this limit and prefix."""
        manifest = self.bundle.manifest
        return load_tokeniser(
            manifest.input, self.bundle.files[manifest.tokenizer], max_tokens=max_tokens, prefix=prefix
        )


def list_candidates(base: Base, bundle: Bundle, folder: Path) -> list[Candidate]:
    """Return a base's query encoder in float32 and its bundle's, each with and without the base's prefix."""
    exact = load_exact_encoder(base.query, folder)
    int8 = bundle.load_encoder(bundle.manifest.query.file)
    found = []
    for prefix in sorted({base.query_prefix, ""}):
        note = ", prefix" if prefix else ""
        found.append(Candidate(f"{base.name} fp32{note}", exact, prefix, bundle))
        found.append(Candidate(f"{base.name} int8{note}", int8, prefix, bundle))
    return found


def measure_encoders(
    candidates: Sequence[Candidate], collections: Sequence[JudgedCollection], cache: Path
) -> Iterator[str]:
    """Yield the table: for each candidate nDCG@10 by collection, their mean, and p50 in ms by length."""
    names = [*(data.name for data in collections), "mean", *(f"{n} tokens" for n in LENGTHS_TOKENS)]
    yield _format_row("query encoder", names)
    yield _format_row("---", ["---:"] * len(names))
    first_stage = [measure_ndcg(data, data.hits) for data in collections]
    yield _format_row("BM25", [*_format_figures(first_stage), *([""] * len(LENGTHS_TOKENS))])
    times_ms = measure_latencies(candidates)
    for candidate, by_length in zip(candidates, times_ms, strict=True):
        measured = [_measure_quality(candidate, data, cache) for data in collections]
        yield _format_row(candidate.name, [*_format_figures(measured), *(f"{ms:.1f}" for ms in by_length)])


def measure_latencies(candidates: Sequence[Candidate]) -> list[list[float]]:
    """Time encoders in turn, so that a busy machine slows all alike: -> p50 in ms, by encoder and length."""
    by_length = []
    for length in LENGTHS_TOKENS:
        ids = [c.load_tokeniser(length, prefix="").query(LONG_TEXT) for c in candidates]
        rounds = [
            [_measure_time(c.encoder, i) for c, i in zip(candidates, ids, strict=True)] for _ in range(ROUNDS)
        ]
        by_length.append(np.median(rounds, axis=0))
    transposed: list[list[float]] = np.transpose(by_length).tolist()
    return transposed


def _measure_time(encoder: Encoder, ids: Ids) -> float:
    start = time.perf_counter()
    encoder.encode_ids([ids])
    return 1000 * (time.perf_counter() - start)


def _measure_quality(candidate: Candidate, data: JudgedCollection, cache: Path) -> float:
    vectors = encode_hits(candidate.bundle, data, cache, threads=1)
    tokens = candidate.load_tokeniser(QUERY_TOKENS, prefix=candidate.prefix)
    cosines = score_hits(data, QueryEncoder(candidate.encoder, tokens), vectors)
    return measure_ndcg(data, fuse_scores(data.hits, cosines, candidate.bundle.manifest.fusion.weight))


def _format_figures(values: Sequence[float]) -> list[str]:
    return [f"{value:.3f}" for value in (*values, np.mean(values))]


def _format_row(head: str, cells: Sequence[str]) -> str:
    return f"| {head} | {' | '.join(cells)} |"

"""What feedback is worth: nDCG@10 by how much the best hits' vote counts."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from model_export.collection import Collection, Hits
from model_export.cosines import document_vectors
from model_export.quality import ndcg
from model_export.quantize import Floats
from reranker.bundle import Bundle
from reranker.feedback import with_feedback
from reranker.fusion import Floats64, fusion
from reranker.stored_vector import pack
from reranker.window import crossing_scores, rank

WEIGHTS = (0.0, 0.3, 0.5, 0.7)
"""Settings of `fusion.feedback`; 0 is none."""


def feedback_lines(
    bundles: Sequence[Bundle], collections: Sequence[Collection], cache: Path
) -> Iterator[str]:
    """Yield a Markdown table: nDCG@10 of BM25, and reranked as by a search, vectors as they are stored.

    What is kept is the share of the first bundle's gain over BM25, both means, with its own feedback.
    """
    yield f"| bundle, `fusion.feedback` | {' | '.join(data.name for data in collections)} | mean | kept |"
    yield f"|---|{'---:|' * (len(collections) + 2)}"
    bm25 = [ndcg(data, data.hits) for data in collections]
    yield _row("BM25", bm25, "")
    whole = 0.0
    for bundle in bundles:
        own = bundle.manifest.fusion.feedback
        weights = sorted({*WEIGHTS, own})
        runs = [_runs(bundle, data, weights, cache) for data in collections]
        rows = {
            weight: [ndcg(data, each[place]) for data, each in zip(collections, runs, strict=True)]
            for place, weight in enumerate(weights)
        }
        gains = {weight: float(np.mean(found) - np.mean(bm25)) for weight, found in rows.items()}
        whole = whole or gains[own]
        for weight, found in rows.items():
            name = f"{bundle.name}, {weight:g}{' (its own)' if weight == own else ''}"
            yield _row(name, found, f"{gains[weight] / whole:.0%}" if whole else "")


def _row(name: str, found: Sequence[float], kept: str) -> str:
    return f"| {name} | {' | '.join(f'{each:.4f}' for each in (*found, np.mean(found)))} | {kept} |"


def _runs(bundle: Bundle, data: Collection, weights: Sequence[float], cache: Path) -> list[Hits]:
    """Return the orders of all queries, one of each weight."""
    vectors = document_vectors(bundle, data, cache, threads=1)
    stored = {i: pack(each, text_hash=0, model_tag=bundle.model_tag) for i, each in vectors.items()}
    encode, runs = bundle.query_encoder(), [dict[str, dict[str, float]]() for _ in weights]
    for query, text in data.queries.items():
        scores = data.hits[query]
        first_stage = np.array(list(scores.values()), np.float64)
        packed = [stored[hit] for hit in scores]
        orders = _orders(bundle, encode(text), packed, first_stage, weights)
        hits = list(scores)
        for run, order in zip(runs, orders, strict=True):
            run[query] = {hits[place]: -float(position) for position, place in enumerate(order)}
    return runs


def _orders(
    bundle: Bundle, query: Floats, packed: list[bytes], first_stage: Floats64, weights: Sequence[float]
) -> Iterator[list[int]]:
    crossing = bundle.crossing()
    fuse = fusion("log_linear", None, 60, bundle_weight=bundle.manifest.fusion.weight)
    first = rank(first_stage, crossing_scores(query, packed, crossing, bundle.model_tag), fuse)
    for weight in weights:
        voted = with_feedback(
            first, first_stage, fuse,
            query=query, packed=packed, crossing=crossing, model_tag=bundle.model_tag, weight=weight,
        )  # fmt: skip
        yield voted.order.tolist()

"""Measure what feedback and smoothing gain: nDCG@10 by the weights of the best and the nearest hits."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from model_export.data.collection import JudgedCollection
from model_export.data.quality import measure_ndcg
from model_export.evaluation.shipped import rank_as_shipped
from reranker.bundle import Bundle

SETTINGS = ((0.0, 0.0), (0.3, 0.0), (0.5, 0.0), (0.0, 0.6), (0.3, 0.6), (0.5, 0.6))
"""The values of feedback and smoothing to measure; a bundle's own are added."""


def measure_feedback(
    bundles: Sequence[Bundle], collections: Sequence[JudgedCollection], cache: Path
) -> Iterator[str]:
    """Yield a Markdown table: nDCG@10 of BM25, and of hits reranked as in searches, with stored vectors.

    The last column is the share of the gain over BM25 that the first bundle has with its own values.
    """
    yield f"| bundle, feedback, smoothing | {' | '.join(data.name for data in collections)} | mean | kept |"
    yield f"|---|{'---:|' * (len(collections) + 2)}"
    bm25 = [measure_ndcg(data, data.hits) for data in collections]
    yield _format_row("BM25", bm25, "")
    whole = 0.0
    for bundle in bundles:
        own = (bundle.manifest.fusion.feedback, bundle.manifest.fusion.smoothing)
        settings = sorted({*SETTINGS, own})
        fusions = [replace(bundle.manifest.fusion, feedback=f, smoothing=s) for f, s in settings]
        runs = [rank_as_shipped(bundle, data, fusions, cache) for data in collections]
        rows = {
            setting: [measure_ndcg(data, each[place]) for data, each in zip(collections, runs, strict=True)]
            for place, setting in enumerate(settings)
        }
        gains = {setting: float(np.mean(found) - np.mean(bm25)) for setting, found in rows.items()}
        whole = whole or gains[own]
        for setting, found in rows.items():
            feedback, smoothing = setting
            name = f"{bundle.name}, {feedback:g}, {smoothing:g}{' (its own)' * (setting == own)}"
            yield _format_row(name, found, f"{gains[setting] / whole:.0%}" if whole else "")


def _format_row(name: str, found: Sequence[float], kept: str) -> str:
    return f"| {name} | {' | '.join(f'{each:.4f}' for each in (*found, np.mean(found)))} | {kept} |"

"""Fit a bundle's probability, fusion weight and neutral value on judged collections."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from msgspec.structs import replace
from scipy.optimize import minimize

from model_export.data.collection import Hits, JudgedCollection
from model_export.data.quality import measure_ndcg
from model_export.evaluation.shipped import rank_as_shipped
from reranker.arrays import Floats64
from reranker.bundle import Bundle
from reranker.manifest import FusionDefault, Manifest

NEGATIVES = 10
"""How many of a query's best first-stage hits are compared with its relevant document."""

WEIGHTS = (0.1, 0.25, 0.5, 1, *range(2, 25))
"""The fusion weights to try: the best one for a logit is smaller than for a cosine."""

ScoredCollection = tuple[JudgedCollection, Hits]
"""A collection and the cosines of its hits."""


@dataclass(frozen=True)
class Calibration:
    """probability = sigmoid(scale * cosine + offset), the fusion weight, and a typical hit's cosine.

    `ndcg` is, by weight, the mean nDCG@10 over the collections in the order of searches.
    """

    scale: float
    offset: float
    weight: float
    neutral: float
    ndcg: Mapping[float, float]

    def apply_to(self, manifest: Manifest, names: Sequence[str]) -> Manifest:
        """Return the manifest with these values and the names of the collections that they were fitted on."""
        note = f"calibrated on {', '.join(names)}"
        return msgspec.structs.replace(
            manifest,
            crossing=msgspec.structs.replace(
                manifest.crossing, scale=round(self.scale, 3), offset=round(self.offset, 3)
            ),
            fusion=msgspec.structs.replace(manifest.fusion, method="log_linear", weight=self.weight),
            neutral_crossing=round(self.neutral, 4),
            trained_on=(*(n for n in manifest.trained_on if not n.startswith("calibrated")), note),
        )


def fit_calibration(
    paired: Sequence[ScoredCollection], judged: Sequence[ScoredCollection], by_weight: Mapping[float, float]
) -> Calibration:
    """Fit the probability on `paired` (one relevant document a query), and take the best weight.

    The neutral value is the median cosine of all hits of `judged`.
    """
    scale, offset = _fit_logistic(*_label_hits(paired))
    cosines = [c for _, scores in judged for hits in scores.values() for c in hits.values()]
    best = max(by_weight, key=by_weight.__getitem__)
    return Calibration(scale, offset, best, float(np.median(cosines)), by_weight)


def measure_weights(
    bundle: Bundle, collections: Sequence[JudgedCollection], own: FusionDefault, cache: Path
) -> dict[float, float]:
    """Return each weight's mean nDCG@10 over the collections, with the feedback and smoothing of `own`.

    The best weight for the crossing alone may differ.
    """
    fusions = [replace(own, weight=float(weight)) for weight in WEIGHTS]
    runs = [rank_as_shipped(bundle, data, fusions, cache) for data in collections]
    means = [
        np.mean([measure_ndcg(data, each[i]) for data, each in zip(collections, runs, strict=True)])
        for i in range(len(fusions))
    ]
    return {each.weight: float(mean) for each, mean in zip(fusions, means, strict=True)}


def _label_hits(paired: Sequence[ScoredCollection]) -> tuple[Floats64, Floats64]:
    """Return cosines and labels, 1 if relevant, of each query's NEGATIVES best hits and relevant hits."""
    cosines, labels = [], []
    for data, scores in paired:
        for query, hits in data.hits.items():
            best = sorted(hits, key=hits.__getitem__, reverse=True)[:NEGATIVES]
            relevant = {hit for hit in hits if data.qrels[query].get(hit, 0) > 0}
            for hit in relevant.union(best):
                cosines.append(scores[query][hit])
                labels.append(hit in relevant)
    return np.array(cosines), np.array(labels, float)


def _fit_logistic(cosines: Floats64, labels: Floats64) -> tuple[float, float]:
    """Minimise the cross-entropy log(1 + e^z) - label * z, z = scale * cosine + offset."""

    def loss(parameters: Floats64) -> float:
        z = parameters[0] * cosines + parameters[1]
        return float((np.logaddexp(0, z) - labels * z).mean())

    scale, offset = minimize(loss, np.array([20.0, -14.0])).x
    return float(scale), float(offset)

"""Signals: what a document's own fields say of it, such as its popularity or its date, beside its score.

Each value is mapped to s in [0, 1], and the fused score is multiplied by a factor of at least 1:

    log1p       s = log(1 + x) / log(1 + scale), x below 0 counting as 0, at most 1
    saturation  s = x / (x + scale), x below 0 counting as 0 (the pivot: where s is 0.5)
    decay       s = 0.5 ** (|x - origin| / scale)
    factor      exp(weight * s), or exp(|weight| * (1 - s)) for a negative weight

A factor is at least 1, so that no hit of the window falls below those beyond it. The script
`cluster_rescore.painless` computes the same. Sources: Craswell, Robertson, Zaragoza and Taylor, Relevance
weighting for query independent evidence, SIGIR 2005, for logarithm and saturation; OpenSearch's
`function_score`, of which this decay is `exp` with `decay` 0.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from reranker.arrays import Floats64
from reranker.rerank import Ranking

KINDS = ("log1p", "saturation", "decay")
"""Every kind of signal by its name in the settings."""


@dataclass(frozen=True)
class Signal:
    """How one field's values become factors.

    `weight` is the logarithm of the largest factor, and negative if a large s is bad. `missing` is the s of a
    hit without a value, 0 to 1. `scale` is positive: the value at which `log1p` reaches 1, the pivot of
    `saturation`, or the distance at which `decay` halves; `origin` is where `decay` is 1.
    """

    kind: str
    weight: float
    missing: float
    scale: float
    origin: float = 0.0


def squash(signal: Signal, values: Floats64) -> Floats64:
    """Return s for each of (num_hits,) float64 values, NaN for a hit without one; always in [0, 1]."""
    with np.errstate(over="ignore", divide="ignore", under="ignore"):
        if signal.kind == "decay":
            found = np.exp2(-np.abs(values - signal.origin) / signal.scale)
        elif signal.kind == "saturation":
            found = 1 / (1 + signal.scale / np.maximum(values, 0.0))
        else:
            found = np.minimum(np.log1p(np.maximum(values, 0.0)) / np.log1p(signal.scale), 1.0)
    return np.where(np.isnan(values), signal.missing, found)


def log_factors(signal: Signal, values: Floats64) -> Floats64:
    """Return the logarithm of each hit's factor, 0 to |weight|; `values` as for `squash`."""
    squashed = squash(signal, values)
    return signal.weight * squashed if signal.weight >= 0 else -signal.weight * (1 - squashed)


def apply_signals(
    ranking: Ranking, signals: Sequence[Signal], values: Sequence[Floats64], *, is_logarithm: bool
) -> Ranking:
    """Multiply a window's fused scores by the factors of its signals, and order it again.

    Args:
        ranking: the order so far.
        signals: at least one.
        values: (num_hits,) float64 for each signal, in first-stage order, NaN for a hit without a value.
        is_logarithm: whether `ranking.fused` has logarithms, as those of `log_linear` are.

    Returns:
        The new order, ties in first-stage order; `signals` is filled.
    """
    factors = np.stack([log_factors(*each) for each in zip(signals, values, strict=True)])
    total = factors.sum(axis=0)
    fused = ranking.fused + total if is_logarithm else ranking.fused * np.exp(total)
    return replace(ranking, order=np.argsort(-fused, kind="stable"), fused=fused, signals=factors)

"""Build the crossing as OpenSearch's own `rescore`: data nodes read the vectors and multiply the scores.

The script, `painless/cluster_rescore.painless`, is the same for every query, so that it is compiled once:
the parameters hold what differs. Each rescored hit's score becomes

    first-stage score x exp(weight x (1 + cosine of the query and the document's best chunk))

whose order is that of the fusion `log_linear`, times the factors of its signals and of rules. The factor is
at least 1, so that no rescored hit falls below those beyond the window. Each shard has a window of its own.
Rules multiply by a `function_score` around the script: a script cannot read an `_id`.
"""

import base64
import math
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from opensearch.search.rules import RuleBoost
from opensearch.settings.fusion import ResolvedFusion
from opensearch.settings.signals import ResolvedSignal

MAX_WEIGHT = 40.0
"""Largest weight: a first-stage score times exp(40 x 2.01) still fits OpenSearch's float32."""

MAX_EXPONENT = 80.4
"""Logarithm of the largest factor: 40 x 2.01. Signals add to it."""

_SCRIPT = Path(__file__).parent / "painless" / "cluster_rescore.painless"
_INT32 = 1 << 32


def build_cluster_rescore(
    *,
    query: bytes,
    scale: float,
    model_tag: int,
    weight: float,
    neutral: float,
    window_size: int,
    field: str,
    signals: Sequence[ResolvedSignal] = (),
    boosts: Sequence[RuleBoost] = (),
    now_ms: float = 0.0,
) -> dict[str, Any]:
    """Return the value for a search's `rescore`.

    Args:
        query: the query vector as dim little-endian int16, small enough that a sum of dim products with int8
            fits 32 bits: `reranker.integer_query.quantise_query`.
        scale: query vector = scale x integers.
        model_tag: the tag, 0 to 2^32 - 1, of the only vectors that are compared.
        weight: the fusion's weight, 0 to 40.
        neutral: the crossing score, -1 to 1, of a hit without a usable vector.
        window_size: how many hits of each shard are rescored, at least 1.
        field: the `binary` field, with doc values, that holds the stored vectors.
        signals: what else the scores are multiplied by; `fits_float32` says whether that is possible.
        boosts: those of rules; they too must fit.
        now_ms: the present, in milliseconds since 1970, for those whose origin it is.

    Raises:
        ValueError: one of them is outside these limits.
    """
    _check(query, scale, model_tag, weight, neutral, window_size)
    params: dict[str, Any] = {
        "field": field,
        "query": base64.b64encode(query).decode("ascii"),
        "scale": scale,
        # as Java's int, since OpenSearch's JSON numbers may have become doubles on their way
        "tag": model_tag - _INT32 if model_tag >= _INT32 // 2 else model_tag,
        "weight": weight,
        "neutral": neutral,
    }
    if signals:
        params["signals"] = [_signal_parameters(each, now_ms) for each in signals]
    script = {"lang": "painless", "source": script_source(), "params": params}
    scoring: dict[str, Any] = {"script_score": {"query": {"match_all": {}}, "script": script}}
    if boosts:
        functions = [each.as_function() for each in boosts]
        modes = {"score_mode": "multiply", "boost_mode": "multiply"}
        scoring = {"function_score": {"query": scoring, "functions": functions, **modes}}
    return {"window_size": window_size, "query": {"score_mode": "multiply", "rescore_query": scoring}}


def fits_float32(fusion: ResolvedFusion, added: float = 0.0) -> bool:
    """Return whether the largest factor of a fusion is one that OpenSearch's scores can be multiplied by.

    `added` is the logarithm of the largest factor by rules.
    """
    largest = (fusion.weight or 0.0) * 2.01 + sum(abs(each.weight) for each in fusion.signals) + added
    return largest <= MAX_EXPONENT


@cache
def script_source() -> str:
    """Return the script as it is sent: without comments, indentation and empty lines."""
    lines = (re.sub(r"^//.*", "", line.strip()) for line in _SCRIPT.read_text("utf-8").splitlines())
    return "\n".join(line for line in lines if line)


def _signal_parameters(signal: ResolvedSignal, now_ms: float) -> dict[str, Any]:
    return {
        "field": signal.field.name,
        "date": signal.field.is_date,
        "kind": signal.kind,
        "weight": signal.weight,
        "missing": signal.missing,
        "scale": signal.scale,
        "origin": signal.origin_at(now_ms),
    }


def _check(
    query: bytes, scale: float, model_tag: int, weight: float, neutral: float, window_size: int
) -> None:
    conditions = {
        f"query: expected dim x 2 bytes, found {len(query)}": len(query) >= 2 and len(query) % 2 == 0,
        f"scale: expected a finite number of at least 0, found {scale}": math.isfinite(scale) and scale >= 0,
        f"model_tag: expected 0 to {_INT32 - 1}, found {model_tag}": 0 <= model_tag < _INT32,
        f"weight: expected 0 to {MAX_WEIGHT:g}, found {weight}": 0 <= weight <= MAX_WEIGHT,
        f"neutral: expected -1 to 1, found {neutral}": -1 <= neutral <= 1,
        f"window_size: expected at least 1, found {window_size}": window_size >= 1,
    }
    for message, holds in conditions.items():
        if not holds:
            raise ValueError(message)

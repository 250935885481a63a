"""Signals of a window: settings and doc values of hits become the reranker's numbers."""

import time
from collections.abc import Sequence

import numpy as np

from opensearch.fields.doc_values import read_numbers
from opensearch.fields.vector_field import Hit
from opensearch.search.plan import Plan
from reranker.arrays import Floats64
from reranker.rerank import Ranking
from reranker.signals import Signal, apply_signals, squash


def rank_by_signals(ranking: Ranking, plan: Plan, hits: Sequence[Hit]) -> Ranking:
    """Return a window's order with the signals of its plan, if there are any; `hits` are the window's."""
    fusion = plan.fusion
    if not fusion.signals or not hits or fusion.method == "combiner":  # a combiner saw them as features
        return ranking
    is_logarithm = fusion.method == "log_linear"
    return apply_signals(ranking, _build_signals(plan), read_values(plan, hits), is_logarithm=is_logarithm)


def squash_signals(plan: Plan, hits: Sequence[Hit]) -> list[Floats64]:
    """Return (num_hits,) float64 for each signal of a plan: its s in [0, 1], whatever its weight."""
    if not plan.fusion.signals:
        return []
    values = read_values(plan, hits)
    return [squash(signal, value) for signal, value in zip(_build_signals(plan), values, strict=True)]


def read_values(plan: Plan, hits: Sequence[Hit]) -> list[Floats64]:
    """Return (num_hits,) float64 values for each signal of a plan, NaN for a hit without one."""
    fields = plan.doc_values
    numbers = dict(zip(fields, read_numbers(hits, fields), strict=True))
    return [np.array(numbers[signal.field], np.float64) for signal in plan.fusion.signals]


def _build_signals(plan: Plan) -> list[Signal]:
    now_ms = time.time() * 1000
    return [
        Signal(each.kind, each.weight, each.missing, each.scale, each.origin_at(now_ms))
        for each in plan.fusion.signals
    ]

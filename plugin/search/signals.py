"""Signals of a window: settings and doc values of hits become the reranker's numbers."""

import time
from collections.abc import Sequence

import numpy as np

from opensearch.fields.doc_values import read_numbers
from opensearch.fields.vector_field import Hit
from opensearch.search.plan import Plan
from reranker.arrays import Floats64
from reranker.rerank import Ranking
from reranker.signals import Signal, apply_signals


def rank_by_signals(ranking: Ranking, plan: Plan, hits: Sequence[Hit]) -> Ranking:
    """Return a window's order with the signals of its plan, if there are any; `hits` are the window's."""
    fusion = plan.fusion
    if not fusion.signals or not hits:
        return ranking
    now_ms = time.time() * 1000
    signals = [
        Signal(each.kind, each.weight, each.missing, each.scale, each.origin_at(now_ms))
        for each in fusion.signals
    ]
    return apply_signals(
        ranking, signals, read_values(plan, hits), is_logarithm=fusion.method == "log_linear"
    )


def read_values(plan: Plan, hits: Sequence[Hit]) -> list[Floats64]:
    """Return (num_hits,) float64 values for each signal of a plan, NaN for a hit without one."""
    fields = plan.doc_values
    numbers = dict(zip(fields, read_numbers(hits, fields), strict=True))
    return [np.array(numbers[signal.field], np.float64) for signal in plan.fusion.signals]

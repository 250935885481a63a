"""The first-stage scores of a window as they are fused: those of a hybrid query are scaled."""

import numpy as np

from opensearch.search.plan import Plan
from opensearch.search.response import SearchResponse
from opensearch.settings.fusion import ResolvedFusion
from reranker.arrays import Floats64
from reranker.hybrid_scores import SCALES, scale_scores


def scale_first_stage(first_stage: Floats64, plan: Plan, fusion: ResolvedFusion) -> Floats64:
    """Return a window's first-stage scores, (num_hits,) float64, as one of its fusions takes them.

    `weighted` scales them itself, and the other methods take ranks or nothing.
    """
    if plan.hybrid is None or fusion.method != "log_linear":
        return first_stage
    return scale_scores(first_stage, plan.hybrid)


def read_scaled(response: SearchResponse, plan: Plan) -> Floats64 | None:
    """Return the scaled scores of a window, (num_hits,) float64, None if its fusion takes them as they are.

    Raises:
        UnusableResponseError: a hit has no score.
    """
    if plan.hybrid is None or plan.fusion.method != "log_linear":
        return None
    return scale_scores(np.array(response.scores()[: plan.window_size], np.float64), plan.hybrid)


def name_first_stage(plan: Plan) -> str:
    """Return what stands for the first stage in the formula of `log_linear`."""
    if plan.hybrid is None:
        return "first-stage score"
    return f"best * exp({SCALES[plan.hybrid]:g} * first-stage score / best)"

"""First-stage scores of hybrid queries, made fit for `log_linear` fusion.

BM25's logarithm is evidence: a score twice as high says the same wherever it is. The scores of a hybrid query
are means of normalised scores, or sums of reciprocal ranks: the lowest are near 0 because they are the lowest
of the window, and their logarithm would say far too much. So a score counts by its share of the best one:

    scaled score = best score x exp(scale x score / best score)

Near the best score, with a scale of 1, that has the slope of the logarithm; far from it, it is bounded. It
depends neither on the weights of the parts nor on their number. The scales are calibrated:
docs/research/2026-11-hybrid-search.md.
"""

from collections.abc import Mapping

import numpy as np

from reranker.arrays import Floats64

SCALES: Mapping[str, float] = dict.fromkeys(("min_max", "l2", "z_score", "rrf"), 4.0)
"""The logarithm of the factor between the best score and one of 0, by the technique of normalisation."""


def scale_scores(first_stage: Floats64, technique: str) -> Floats64:
    """Return (num_hits,) scores in the same order, none below the best of `first_stage`.

    Scores that the scale is not defined for are returned as they are: fusion says what is wrong with them.

    Args:
        first_stage: (num_hits,) float64, the scores of a hybrid query.
        technique: one of SCALES.
    """
    best = first_stage.max(initial=0.0)
    if not np.isfinite(first_stage).all() or (first_stage < 0).any() or best == 0:
        return first_stage
    scaled: Floats64 = best * np.exp(SCALES[technique] * first_stage / best)
    return scaled

"""What follows the scores: signals, rules, least probability, diversity, exact matches.

Each orders the window again.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from opensearch.fields.doc_values import read_texts
from opensearch.fields.vector_field import Hit
from opensearch.search.plan import Plan
from plugin.search.rules import rank_by_rules
from plugin.search.signals import rank_by_signals
from reranker.arrays import Booleans, Floats
from reranker.crossing import Crossing
from reranker.diversity import diversify
from reranker.exact import is_exact, normalise, put_exact_first
from reranker.rerank import Ranking
from reranker.threshold import cut_unlikely, demote_unlikely
from reranker.window_vectors import WindowVectors


def adjust(
    ranking: Ranking,
    plan: Plan,
    hits: Sequence[Hit],
    *,
    query: Floats,
    vectors: WindowVectors,
    crossing: Crossing,
) -> Ranking:
    """Return a window's order with what its plan asks for, but for exact matches: see `keep_exact`.

    Args:
        ranking: the order so far.
        plan: the search's.
        hits: the window's.
        query: (dim,) float32, a unit vector.
        vectors: the window's.
        crossing: the bundle's crossing layer.
    """
    settings, ranking = plan.settings, rank_by_rules(rank_by_signals(ranking, plan, hits), plan, hits)
    if settings.min_probability is not None:
        apply_least = cut_unlikely if settings.cuts else demote_unlikely
        ranking = apply_least(ranking, crossing, settings.min_probability)
    if settings.diversity:
        ranking = diversify(
            ranking,
            query=query,
            vectors=vectors,
            crossing=crossing,
            diversity=settings.diversity,
            is_logarithm=plan.fusion.method in ("log_linear", "none", "combiner"),
        )
    return ranking


def keep_exact(ranking: Ranking, plan: Plan, hits: Sequence[Hit]) -> Ranking:
    """Return a window's order with exact matches first, if its plan asks for them; `hits` are its own."""
    return put_exact_first(ranking, find_exact(plan, hits)) if plan.settings.keep_exact else ranking


def find_exact(plan: Plan, hits: Sequence[Hit]) -> Booleans:
    """Return which of a window's hits have the query's text in a field of `keep_exact`: (num_hits,) bool."""
    text = normalise(plan.longest_text)
    return np.array([is_exact(each, text) for each in read_texts(hits, plan.settings.keep_exact)], np.bool_)


def count_adjustments(ranking: Ranking, plan: Plan) -> Mapping[str, int]:
    """Return the counts that `Rerank-Status` shows of a window that was put in order by its plan."""
    counts: dict[str, int] = {}
    if ranking.signals is not None:
        counts["signals"] = len(ranking.signals)
    if ranking.unlikely is not None:
        unlikely = int(ranking.unlikely.sum())
        is_cut = plan.settings.cuts
        counts |= {"cut": unlikely, "kept": len(ranking.order)} if is_cut else {"demoted": unlikely}
    if ranking.before_diversity is not None:
        counts["moved"] = ranking.num_moved
    if ranking.exact is not None:
        counts["exact"] = int(ranking.exact.sum())
    return counts

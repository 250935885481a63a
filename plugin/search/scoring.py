"""Order the hits of one answer by the query's vector and the hits' own."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec
import numpy as np

from opensearch.fields.float_vectors import read_float_vectors
from opensearch.fields.vector_field import Hit, vector_field
from opensearch.search.plan import Plan
from opensearch.search.response import SearchResponse
from plugin.encoding.model import Model
from plugin.encoding.pending_query import PendingQuery
from plugin.encoding.query_future import await_vector
from plugin.errors import RerankFailedError
from plugin.search.ordering import QueryScorer, WindowOrdering
from plugin.search.scores import WindowScores
from plugin.search.verification import WindowTexts
from reranker.arrays import Floats
from reranker.errors import CombinerError, ScoresError
from reranker.integer_query import round_query
from reranker.stored_vector import pack_floats
from reranker.window_vectors import WindowVectors

LATE_DEADLINE_MS = 1_000
"""How long orders that nobody waits for may wait for the query's vector; an index may allow more."""


def score_window(
    response: SearchResponse,
    plan: Plan,
    model: Model,
    query: PendingQuery,
    texts: WindowTexts,
    *,
    has_sources: bool,
) -> WindowScores:
    """Return the scores of a planned search's window.

    `texts` and `has_sources` serve `verify_at_search` (see `WindowTexts.without_stale`) and vectors that are
    in `_source`.

    Raises:
        RerankFailedError: no query vector, no usable document vector, texts that cannot be read, or scores
            that cannot be fused.
        UnusableResponseError: a hit has no score.
    """
    ordering, num_stale = read_ordering(response, plan, model, query, texts, has_sources=has_sources)
    with texts.context.stage("crossing"):
        try:
            ranking, teams = ordering.rank()
        except CombinerError as error:
            raise RerankFailedError("combiner", str(error)) from error
        except ScoresError as error:
            raise RerankFailedError("scores", str(error)) from error
    if ordering.hits and not ranking.num_scored:
        raise RerankFailedError("vectors", f"none of {len(ordering.hits)} hits has a usable vector")
    is_compared = plan.shadow and plan.page_start == 0  # once a search
    shadow = ordering.compare_with(ranking.order, encode_late(plan, model)) if is_compared else None
    return WindowScores(response, plan, model.choose(plan.bundle), ranking, num_stale, teams, shadow)


def read_ordering(
    response: SearchResponse,
    plan: Plan,
    model: Model,
    query: PendingQuery,
    texts: WindowTexts,
    *,
    has_sources: bool,
) -> tuple[WindowOrdering, int | None]:
    """Return by what a window is ordered, and how many of its vectors belong to other texts, None if unknown.

    Raises:
        RerankFailedError, UnusableResponseError: as `score_window`.
    """
    context, settings = texts.context, plan.settings
    hits, num_stale = response.hits[: plan.window_size], None
    with context.stage("read"):
        window = _read_vectors(hits, plan, model, texts, has_sources=has_sources)
    if settings.verify_at_search:
        with context.stage("verify"):
            window, num_stale = texts.without_stale(plan, hits, window, has_sources=has_sources)
    with context.stage("encode_wait"):
        vectors = query.await_all(settings.deadline_ms / 1000 - context.queued_s)
    with context.stage("crossing"):
        scorers = {bundle: _make_scorer(vector, model.choose(bundle)) for bundle, vector in vectors.items()}
        stored = WindowVectors(window, dim=len(vectors[plan.bundle]), model_tag=model.model_tag)
        first_stage = np.array(response.scores()[: len(window)], np.float64)
    return WindowOrdering(plan, hits, first_stage, stored, scorers, model.combiners), num_stale


def encode_late(plan: Plan, model: Model) -> Callable[[str], QueryScorer]:
    """Return what encodes a search's query by a bundle that its page does not need, and waits for it."""

    def make_scorer(bundle: str) -> QueryScorer:
        chosen, patient = model.choose(bundle), wait_longer(plan)
        vector = await_vector(chosen.submit_query(patient), patient.settings.deadline_ms / 1000)
        return _make_scorer(vector, chosen)

    return make_scorer


def wait_longer(plan: Plan) -> Plan:
    """Return the plan of what is computed after the answer: no client waits for its query's vector."""
    longer_ms = max(LATE_DEADLINE_MS, plan.settings.deadline_ms)
    return replace(plan, settings=msgspec.structs.replace(plan.settings, deadline_ms=longer_ms))


def _make_scorer(vector: Floats, model: Model) -> QueryScorer:
    """Return what a bundle scores by, `vector` being the query's (dim,) one."""
    return QueryScorer(round_query(vector), model.crossing, model.fusion.weight)


def _read_vectors(
    hits: Sequence[Hit], plan: Plan, model: Model, texts: WindowTexts, *, has_sources: bool
) -> Sequence[bytes | None]:
    """Return the hits' stored vectors; those of the index's own are taken to be of the settings' model."""
    settings = plan.settings
    if settings.reads_existing:
        is_there = has_sources or settings.vectors == "doc_values"
        chosen = hits if is_there else texts.read_sources(hits, (settings.field,))
        found = read_float_vectors(chosen, settings.field)
        return pack_floats(found, dim=model.dim, model_tag=model.model_tag)
    return vector_field(settings.field).read_all(hits)

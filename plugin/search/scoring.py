"""Order the hits of one answer by the query's vector and the hits' own."""

from collections.abc import Sequence

import numpy as np

from opensearch.fields.vector_field import vector_field
from opensearch.search.plan import Plan
from opensearch.search.response import SearchResponse
from plugin.encoding.model import Model
from plugin.encoding.query_future import QueryFuture, await_vector
from plugin.errors import RerankFailedError
from plugin.search.ordering import WindowOrdering
from plugin.search.scores import WindowScores
from plugin.search.verification import WindowTexts
from reranker.errors import ScoresError
from reranker.integer_query import round_query
from reranker.window_vectors import WindowVectors


def score_window(
    response: SearchResponse,
    plan: Plan,
    model: Model,
    vector: QueryFuture | None,
    texts: WindowTexts,
    *,
    has_sources: bool,
) -> WindowScores:
    """Return the scores of a planned search's window.

    `texts` and `has_sources` serve `verify_at_search`: see `WindowTexts.without_stale`.

    Raises:
        RerankFailedError: no query vector, no usable document vector, texts that cannot be read, or scores
            that cannot be fused.
        UnusableResponseError: a hit has no score.
    """
    context, settings = texts.context, plan.settings
    field, hits, num_stale = vector_field(settings.field), response.hits[: plan.window_size], None
    window: Sequence[bytes | None] = field.read_all(hits)
    if settings.verify_at_search:
        with context.stage("verify"):
            window, num_stale = texts.without_stale(plan, hits, window, has_sources=has_sources)
    with context.stage("encode_wait"):
        query = round_query(await_vector(vector, settings.deadline_ms / 1000 - context.queued_s))
    with context.stage("crossing"):
        try:
            vectors = WindowVectors(window, dim=len(query), model_tag=model.model_tag)
            first_stage = np.array(response.scores()[: len(window)], np.float64)
            ordering = WindowOrdering(plan, hits, first_stage, query, vectors, model.crossing)
            ranking, teams = ordering.rank()
        except ScoresError as error:
            raise RerankFailedError("scores", str(error)) from error
    if window and not ranking.num_scored:
        raise RerankFailedError("vectors", f"none of {len(window)} hits has a usable vector")
    shadow = ordering.compare_with(ranking) if plan.shadow and plan.page_start == 0 else None  # once a search
    return WindowScores(response, plan, model, ranking, num_stale, teams, shadow)

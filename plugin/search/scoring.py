"""Order the hits of one answer by the query's vector and the hits' own."""

from collections.abc import Sequence

import numpy as np

from opensearch.fields.vector_field import vector_field
from opensearch.search.plan import Plan
from opensearch.search.response import SearchResponse
from opensearch.settings.table import RerankSettings
from plugin.encoding.model import Model
from plugin.encoding.query_future import QueryFuture, await_vector
from plugin.errors import RerankFailedError
from plugin.http.arrival import queued_s
from plugin.search.scores import WindowScores
from plugin.search.verification import WindowTexts
from plugin.telemetry.stage_clock import StageClock
from reranker.errors import ScoresError
from reranker.fusion import choose_fusion
from reranker.integer_query import round_query
from reranker.rerank import Ranking, rerank


def scored_window(
    response: SearchResponse,
    plan: Plan,
    model: Model,
    vector: QueryFuture | None,
    clock: StageClock,
    texts: WindowTexts,
    *,
    has_sources: bool,
) -> WindowScores | RerankFailedError:
    """Return the scores of a planned search's window, or why it has none.

    `texts` and `has_sources` serve `verify_at_search`: see `WindowTexts.without_stale`.

    Raises:
        UnusableResponseError: a hit has no score.
    """
    field, hits, num_stale = vector_field(plan.settings.field), response.hits[: plan.window_size], None
    window = [field.read(hit) for hit in hits]
    try:
        if plan.settings.verify_at_search:
            with clock.stage("verify"):
                window, num_stale = texts.without_stale(plan, hits, window, has_sources=has_sources)
        ranking = _ranked(response, plan.settings, window, model, vector, clock)
    except RerankFailedError as error:
        return error
    return WindowScores(response, plan.settings, model, ranking, num_stale)


def _ranked(
    response: SearchResponse,
    settings: RerankSettings,
    window: Sequence[bytes | None],
    model: Model,
    vector: QueryFuture | None,
    clock: StageClock,
) -> Ranking:
    """Rank the first hits of `response` by their stored vectors.

    Raises:
        RerankFailedError: no query vector, no usable document vector, or scores that cannot be fused.
        UnusableResponseError: a hit has no score.
    """
    with clock.stage("encode_wait"):
        query = round_query(await_vector(vector, settings.deadline_ms / 1000 - queued_s()))
    with clock.stage("crossing"):
        first_stage = np.array(response.scores()[: len(window)], np.float64)
        chosen = settings.fusion
        fuse = choose_fusion(
            chosen.method, chosen.weight, chosen.rank_constant, bundle_weight=model.fusion.weight
        )
        try:
            ranking = rerank(
                first_stage, fuse, query=query, packed=window, crossing=model.crossing,
                model_tag=model.model_tag, feedback=model.feedback(chosen), smoothing=model.smoothing(chosen),
            )  # fmt: skip
        except ScoresError as error:
            raise RerankFailedError("scores", str(error)) from error
    if window and not ranking.num_scored:
        raise RerankFailedError("vectors", f"none of {len(window)} hits has a usable vector")
    return ranking

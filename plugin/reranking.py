"""Order the hits of one answer by the query's vector and the hits' own."""

from concurrent.futures import Future

import numpy as np
import numpy.typing as npt

from opensearch.search_plan import Plan
from opensearch.search_response import SearchResponse
from opensearch.settings import RerankSettings
from opensearch.vector_field import vector_field
from plugin.arrival import queued_s
from plugin.errors import RerankFailedError
from plugin.model import Model
from plugin.query_vectors import awaited
from plugin.stage_clock import StageClock
from plugin.window_scores import WindowScores
from reranker.errors import ScoresError
from reranker.fusion import fusion
from reranker.integer_query import rounded
from reranker.window import Ranking, crossing_scores, rank

Floats = npt.NDArray[np.float32]


def scored_window(
    response: SearchResponse, plan: Plan, model: Model, vector: "Future[Floats] | None", clock: StageClock
) -> WindowScores | RerankFailedError:
    """Return the scores of a planned search's window, or why it has none.

    Raises:
        UnusableResponseError: a hit has no score.
    """
    try:
        ranking = rank_hits(response, plan.settings, plan.window_size, model, vector, clock)
    except RerankFailedError as error:
        return error
    return WindowScores(response, plan.settings, model, ranking)


def rank_hits(
    response: SearchResponse,
    settings: RerankSettings,
    window_size: int,
    model: Model,
    vector: "Future[Floats] | None",
    clock: StageClock,
) -> Ranking:
    """Rank the window: the first `window_size` hits of `response`.

    Raises:
        RerankFailedError: no query vector, no usable document vector, or scores that cannot be fused.
        UnusableResponseError: a hit has no score.
    """
    with clock.stage("encode_wait"):
        query = rounded(awaited(vector, settings.deadline_ms / 1000 - queued_s()))
    with clock.stage("crossing"):
        field = vector_field(settings.field)
        window = [field.packed(hit) for hit in response.hits[:window_size]]
        crossing = crossing_scores(query, window, model.crossing, model.model_tag)
        if window and np.isnan(crossing).all():
            raise RerankFailedError("vectors", f"none of {len(window)} hits has a usable vector")
        first_stage = np.array(response.scores()[:window_size], np.float64)
        chosen = settings.fusion
        fuse = fusion(chosen.method, chosen.weight, chosen.rank_constant, bundle_weight=model.fusion_weight)
        try:
            return rank(first_stage, crossing, fuse)
        except ScoresError as error:
            raise RerankFailedError("scores", str(error)) from error

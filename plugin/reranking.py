"""Order the hits of one answer by the query's vector and the hits' own."""

from concurrent.futures import Future

import numpy as np
import numpy.typing as npt

from opensearch.search_response import SearchResponse
from opensearch.settings import RerankSettings
from plugin.errors import RerankFailedError
from plugin.model import Model
from plugin.query_vectors import awaited
from plugin.stage_clock import StageClock
from reranker.errors import ScoresError
from reranker.fusion import FUSIONS
from reranker.window import Ranking, crossing_scores, rank

Floats = npt.NDArray[np.float32]


def rank_hits(
    response: SearchResponse,
    packed: list[bytes | None],
    settings: RerankSettings,
    model: Model,
    vector: "Future[Floats] | None",
    clock: StageClock,
) -> Ranking:
    """Rank the window: the first `settings.window_size` hits of `response`, whose vectors are `packed`.

    Raises:
        RerankFailedError: no query vector, no usable document vector, or scores that cannot be fused.
        UnusableResponseError: a hit has no score.
    """
    with clock.stage("encode_wait"):
        query = awaited(vector, settings.deadline_ms / 1000)
    with clock.stage("crossing"):
        window = packed[: settings.window_size]
        crossing = crossing_scores(query, window, model.crossing, model.model_tag)
        if window and np.isnan(crossing).all():
            raise RerankFailedError("vectors", f"none of {len(window)} hits has a usable vector")
        first_stage = np.array(response.scores()[: settings.window_size], np.float64)
        weight = model.fusion_weight if settings.fusion.weight is None else settings.fusion.weight
        try:
            return rank(first_stage, crossing, FUSIONS[settings.fusion.method], weight)
        except ScoresError as error:
            raise RerankFailedError("scores", str(error)) from error

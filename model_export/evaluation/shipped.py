"""Order a collection's windows as searches do: with stored vectors and a bundle's fusion."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model_export.data.collection import Hits, JudgedCollection
from model_export.evaluation.cosines import encode_hits
from reranker.bundle import Bundle
from reranker.fusion import choose_fusion
from reranker.manifest import FusionDefault
from reranker.rerank import rerank
from reranker.stored_vector import pack


def rank_as_shipped(
    bundle: Bundle, data: JudgedCollection, fusions: Sequence[FusionDefault], cache: Path
) -> list[Hits]:
    """Return one run for each fusion, in which a hit's score is its negative position."""
    vectors = encode_hits(bundle, data, cache, threads=1)
    stored = {i: pack(each, text_hash=0, model_tag=bundle.model_tag) for i, each in vectors.items()}
    encode, crossing = bundle.load_query_encoder(), bundle.load_crossing()
    fuses = [choose_fusion("log_linear", each.weight, 60) for each in fusions]
    runs: list[Hits] = [{} for _ in fusions]
    for query, text in data.queries.items():
        scores = data.hits[query]
        hits, first_stage = list(scores), np.array(list(scores.values()), np.float64)
        vector, packed = encode(text), [stored[hit] for hit in scores]
        for run, fuse, each in zip(runs, fuses, fusions, strict=True):
            ranking = rerank(
                first_stage,
                fuse,
                query=vector,
                packed=packed,
                crossing=crossing,
                model_tag=bundle.model_tag,
                feedback=each.feedback,
                smoothing=each.smoothing,
            )
            run[query] = {hits[place]: -float(position) for position, place in enumerate(ranking.order)}
    return runs

"""nDCG@10 of BM25's hits reordered with `log_linear` fusion."""

import ir_measures
import numpy as np

from model_export.data.collection import Hits, JudgedCollection
from reranker.fusion import log_linear

NDCG = ir_measures.parse_measure("nDCG@10")


def fuse_scores(hits: Hits, cosines: Hits, weight: float) -> Hits:
    """Fuse first-stage scores and cosines: query id -> document id -> log(score) + weight * cosine."""
    run: Hits = {}
    for query, scores in hits.items():
        first = np.array(list(scores.values()))
        crossing = np.array([cosines[query][hit] for hit in scores])
        run[query] = dict(zip(scores, log_linear(first, crossing, weight).tolist(), strict=True))
    return run


def measure_ndcg(collection: JudgedCollection, run: Hits) -> float:
    """Return the mean nDCG@10 over the collection's queries; one without hits counts 0."""
    qrels = {query: collection.qrels[query] for query in collection.queries}
    return float(ir_measures.calc_aggregate([NDCG], qrels, run)[NDCG])

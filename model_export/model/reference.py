"""The reference that exports are compared with: torch, in float32, one text at a time."""

from collections.abc import Sequence

import torch

from model_export.model.crossing import CosineCrossing, TrainedCrossing
from model_export.model.tower import Tower
from reranker.arrays import Floats
from reranker.encoder import Ids


def encode_in_torch(tower: Tower, batch: Sequence[Ids]) -> Floats:
    """Encode token lists with torch: -> (len(batch), dim) float32 unit vectors."""
    with torch.no_grad():
        vectors = [tower.encode([tokens])[0] for tokens in batch]
    stacked: Floats = torch.stack(vectors).cpu().numpy()
    return stacked


def score_in_torch(crossing: TrainedCrossing, queries: Floats, documents: Floats) -> Floats:
    """Score all pairs in torch: (queries, dim), (documents, dim) -> (queries, documents)."""
    if isinstance(crossing, CosineCrossing):
        cosines: Floats = queries @ documents.T
        return cosines
    with torch.no_grad():
        scores = crossing.score(torch.from_numpy(queries)[:, None], torch.from_numpy(documents)[None])
    found: Floats = scores.numpy()
    return found

"""A query tower learns a teacher's scores over stored vectors, and stays near to the vectors of another."""

from collections.abc import Sequence

import numpy as np
import torch

from model_export.errors import TrainingError
from model_export.model import first_token
from model_export.model.crossing import TrainedCrossing
from model_export.model.tower import Tower
from model_export.model.vectors import encode_tokens
from model_export.train.config import DistilSection
from model_export.train.lessons import UNTAUGHT, LessonBook, Lessons
from model_export.train.losses import OBJECTIVES, alignment, margin_mse
from reranker.arrays import Floats, Floats64

CUT = 10
"""How many of a query's candidates count for the measure."""


class QueryDistillation:
    """The loss of a batch: what the taught queries miss of the teacher's scores, and all of their targets.

    loss = share * (objective + margin_weight * margin_mse) + align_weight * alignment. `share` is that of the
    taught queries in the batch, over which objective and margin_mse are means. The crossing is as it is. The
    measure is the nDCG@10 of the held-back queries' candidates, whose gains are the teacher's probabilities.

    Raises:
        TrainingError: the tower's vectors have another dimension than the stored ones.
    """

    measure_name = "nDCG@10 by the teacher"

    def __init__(
        self, tower: Tower, book: LessonBook, crossing: TrainedCrossing, section: DistilSection
    ) -> None:
        if book.passages.shape[1] != tower.dim:
            raise TrainingError(
                f"expected a query tower of the stored vectors' dimension {book.passages.shape[1]}, found"
                f" {tower.dim}"
            )
        self.module = tower
        self.lengths: Sequence[int] = [len(each) for each in book.learned.ids]
        self._book = book
        self._crossing = crossing.requires_grad_(requires_grad=False)
        self._section = section
        self._objective = OBJECTIVES[section.objective]

    def compute_loss(self, rows: Sequence[int]) -> torch.Tensor:
        """Return the loss over the queries of these numbers."""
        learned, section = self._book.learned, self._section
        vectors = first_token.encode(self.module, [learned.ids[i] for i in rows])
        targets = torch.from_numpy(learned.targets[list(rows)]).to(vectors.device)
        loss = section.align_weight * alignment(vectors, targets)
        places = learned.places[list(rows)]
        taught = np.flatnonzero(places != UNTAUGHT)
        if not len(taught):
            return loss
        candidates = learned.taught.candidates[places[taught]]
        passages = torch.from_numpy(self._book.passages[candidates]).to(vectors.device)
        teacher = torch.from_numpy(learned.taught.scores[places[taught]]).to(vectors.device)
        student = self._crossing.to(vectors.device)(vectors[taught][:, None], passages)
        learning = self._objective(student, teacher, section.temperature)
        if section.margin_weight:
            learning = learning + section.margin_weight * margin_mse(student, teacher, section.temperature)
        return loss + len(taught) / len(rows) * learning

    def measure(self) -> float:
        """Return the mean nDCG@10 by the teacher of the held-back queries that it teaches."""
        return measure_agreement(self.module, self._book.held_back, self._book.passages)


def measure_agreement(tower: Tower, lessons: Lessons, passages: Floats) -> float:
    """Return the mean nDCG@10 of taught queries' candidates, whose gains are the teacher's probabilities."""
    taught = np.flatnonzero(lessons.places != UNTAUGHT)
    vectors = encode_tokens(tower, [lessons.ids[i] for i in taught.tolist()])
    rows = lessons.places[taught]
    cosines = np.einsum("qd,qcd->qc", vectors, passages[lessons.taught.candidates[rows]])
    return float(compute_ndcg(cosines, lessons.taught.scores[rows]).mean())


def compute_ndcg(scores: Floats, logits: Floats) -> Floats64:
    """Return the nDCG@10 of each row of candidates in the order of `scores`; gains are sigmoid(logits).

    Both (queries, candidates) -> (queries,).
    """
    gains = 1 / (1 + np.exp(-logits.astype(np.float64)))
    discounts = 1 / np.log2(np.arange(2, 2 + min(CUT, gains.shape[1])))
    order = np.argsort(-scores, axis=1, kind="stable")[:, : len(discounts)]
    found = (np.take_along_axis(gains, order, axis=1) * discounts).sum(axis=1)
    best = (-np.sort(-gains, axis=1)[:, : len(discounts)] * discounts).sum(axis=1)
    ratio: Floats64 = found / best
    return ratio

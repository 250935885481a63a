"""A residual crossing learns a teacher's scores over the stored vectors of both sides."""

from collections.abc import Sequence

import numpy as np
import torch

from model_export.errors import TrainingError
from model_export.model.crossing import TrainedCrossing
from model_export.train.config import DistilSection
from model_export.train.lessons import UNTAUGHT, LessonBook, Lessons
from model_export.train.losses import OBJECTIVES, margin_mse
from model_export.train.query_distil import compute_ndcg
from reranker.arrays import Floats, Positions

QUERIES_AT_ONCE = 256
"""How many queries are scored together for the measure."""


class CrossingDistillation:
    """The loss of a batch: objective + margin_weight * margin_mse, over the crossing of frozen vectors.

    The examples are the taught queries; their vectors are the lessons' targets. The measure is the nDCG@10 of
    the held-back queries' candidates, whose gains are the teacher's probabilities.

    Raises:
        TrainingError: the lessons have no taught queries.
    """

    measure_name = "nDCG@10 by the teacher"

    def __init__(self, crossing: TrainedCrossing, book: LessonBook, section: DistilSection) -> None:
        self.module = crossing
        self._book = book
        self._section = section
        self._objective = OBJECTIVES[section.objective]
        self._taught = find_taught(book.learned)
        self.lengths: Sequence[int] = [1] * len(self._taught)

    def compute_loss(self, rows: Sequence[int]) -> torch.Tensor:
        """Return the loss over the taught queries of these numbers."""
        learned, section = self._book.learned, self._section
        queries = self._taught[list(rows)]
        student = self._score(learned, queries)
        scores = learned.taught.scores[learned.places[queries]]
        teacher = torch.from_numpy(scores).to(student.device)
        loss = self._objective(student, teacher, section.temperature)
        if section.margin_weight:
            loss = loss + section.margin_weight * margin_mse(student, teacher, section.temperature)
        return loss

    def measure(self) -> float:
        """Return the mean nDCG@10 by the teacher of the held-back queries that it teaches."""
        lessons = self._book.held_back
        queries = find_taught(lessons)
        parts: list[Floats] = []
        with torch.no_grad():
            for start in range(0, len(queries), QUERIES_AT_ONCE):
                parts.append(self._score(lessons, queries[start : start + QUERIES_AT_ONCE]).cpu().numpy())
        scores = lessons.taught.scores[lessons.places[queries]]
        return float(compute_ndcg(np.concatenate(parts), scores).mean())

    def _score(self, lessons: Lessons, queries: Positions) -> torch.Tensor:
        """Return the crossing's logits of these queries' candidates: (queries, candidates)."""
        device = next(self.module.parameters()).device
        candidates = lessons.taught.candidates[lessons.places[queries]]
        vectors = torch.from_numpy(lessons.targets[queries]).to(device)
        passages = torch.from_numpy(self._book.passages[candidates]).to(device)
        logits: torch.Tensor = self.module(vectors[:, None], passages)
        return logits


def find_taught(lessons: Lessons) -> Positions:
    """Return the numbers of the queries that have labels: (taught queries,).

    Raises:
        TrainingError: there is none.
    """
    found = np.flatnonzero(lessons.places != UNTAUGHT)
    if not len(found):
        raise TrainingError("expected labelled queries for the crossing to learn from, found none")
    return found

"""A crossing's loss and measure over frozen vectors, against plain computations."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

import torch

from model_export.errors import TrainingError
from model_export.model.crossing import ResidualCrossing
from model_export.train.config import DistilSection
from model_export.train.crossing_distil import CrossingDistillation
from model_export.train.lessons import UNTAUGHT, LessonBook, Lessons, TaughtRows
from model_export.train.losses import listwise_kl, margin_mse
from model_export.train.query_distil import compute_ndcg
from reranker.arrays import Floats

pytestmark = pytest.mark.export

DIM = 12


def draw(*shape: int, seed: int) -> Floats:
    found: Floats = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return found


def make_book(places: tuple[int, ...] = (1, UNTAUGHT, 0)) -> LessonBook:
    taught = TaughtRows(np.array([[0, 1, 2, 3], [4, 2, 0, 1]]), 4 * draw(2, 4, seed=2))
    lessons = Lessons(("a", "b", "c"), ((2, 3),) * 3, draw(3, DIM, seed=3), np.array(places), taught)
    return LessonBook(lessons, lessons, draw(5, DIM, seed=4), "book")


def score(crossing: ResidualCrossing, book: LessonBook) -> tuple[Floats, Floats]:
    """Return the runtime's scores of the first and the third query's candidates, and the teacher's."""
    run, lessons = crossing.to_runtime(), book.learned
    rows = [(lessons.targets[i], lessons.places[i]) for i in (0, 2)]
    found = [run(query, book.passages[lessons.taught.candidates[place]]) for query, place in rows]
    return np.stack(found), lessons.taught.scores[[place for _, place in rows]]


@pytest.mark.parametrize("margin", [0.0, 0.2])
def test_the_loss_and_the_measure_are_of_the_queries_with_labels(margin: float) -> None:
    torch.manual_seed(1)
    crossing, book = ResidualCrossing(DIM, 5), make_book()
    section = DistilSection("listwise_kl", temperature=2.5, margin_weight=margin)
    task = CrossingDistillation(crossing, book, section)
    assert len(task.lengths) == 2
    student, teacher = score(crossing, book)
    both = torch.from_numpy(student), torch.from_numpy(teacher)
    expected = listwise_kl(*both, 2.5).item() + margin * margin_mse(*both, 2.5).item()
    assert task.compute_loss([0, 1]).item() == pytest.approx(expected, rel=1e-4)
    assert task.measure() == pytest.approx(compute_ndcg(student, teacher).mean(), rel=1e-6)


def test_lessons_without_labels_are_refused() -> None:
    with pytest.raises(TrainingError, match="expected labelled queries"):
        CrossingDistillation(
            ResidualCrossing(DIM, 5), make_book((UNTAUGHT,) * 3), DistilSection("listwise_kl")
        )

"""A query tower's loss and measure over stored vectors, against plain computations."""

import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

import torch

from model_export.errors import TrainingError
from model_export.model.base import load_base
from model_export.model.crossing import CosineCrossing
from model_export.model.tower import Tower
from model_export.train.config import DistilSection
from model_export.train.lessons import UNTAUGHT, LessonBook, Lessons, TaughtRows
from model_export.train.losses import listwise_kl, margin_mse
from model_export.train.query_distil import QueryDistillation, compute_ndcg
from reranker.arrays import Floats
from tests.bundles.make_tiny import make_tiny

pytestmark = pytest.mark.export

TEXTS = ((2, 9, 8, 7, 3), (2, 11, 3), (2, 6, 12, 3))
PLACES = (1, UNTAUGHT, 0)
"""The first query has the second row of labels, the second none, the third the first."""


def draw_units(count: int, dim: int = 32, *, seed: int = 1) -> Floats:
    found = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    units: Floats = found / np.linalg.norm(found, axis=1, keepdims=True)
    return units


@pytest.fixture
def tower(tmp_path: Path) -> Tower:
    return load_base(str(make_tiny(tmp_path / "base"))).query


def make_book(dim: int = 32) -> LessonBook:
    random = np.random.default_rng(2)
    taught = TaughtRows(
        np.array([[0, 1, 2, 3], [4, 2, 0, 1]]), (4 * random.normal(size=(2, 4))).astype(np.float32)
    )
    lessons = Lessons(("a", "b", "c"), TEXTS, draw_units(3, dim, seed=3), np.array(PLACES), taught)
    return LessonBook(lessons, lessons, draw_units(5, dim), "book")


def compute_expected(tower: Tower, book: LessonBook, section: DistilSection) -> float:
    """Return the loss of all three queries, one after the other."""
    crossing, lessons = CosineCrossing(), book.learned
    with torch.no_grad():
        vectors = [tower.encode([each])[0].numpy() for each in TEXTS]
        missed = [1 - float(mine @ target) for mine, target in zip(vectors, lessons.targets, strict=True)]
        learning = []
        for vector, place in zip(vectors, PLACES, strict=True):
            if place == UNTAUGHT:
                continue
            passages = book.passages[lessons.taught.candidates[place]]
            logits = torch.tensor([[20.0 * float(vector @ each) - 14.0 for each in passages]])
            teacher = torch.from_numpy(lessons.taught.scores[[place]])
            both = [loss(logits, teacher, section.temperature).item() for loss in (listwise_kl, margin_mse)]
            learning.append(both[0] + section.margin_weight * both[1])
    assert crossing.scale.item() == pytest.approx(20)
    return section.align_weight * sum(missed) / 3 + sum(learning) / 3


@pytest.mark.parametrize(("align", "margin"), [(0.5, 0.0), (0.5, 0.1), (0.0, 0.0), (1.0, 0.3)])
def test_the_loss_is_that_of_each_query_alone(tower: Tower, align: float, margin: float) -> None:
    section = DistilSection("listwise_kl", temperature=2.5, align_weight=align, margin_weight=margin)
    book = make_book()
    task = QueryDistillation(tower, book, CosineCrossing(), section)
    with torch.no_grad():
        found = task.compute_loss([0, 1, 2]).item()
    assert found == pytest.approx(compute_expected(tower, book, section), rel=1e-4)


def test_a_query_without_labels_is_aligned_alone(tower: Tower) -> None:
    book = make_book()
    task = QueryDistillation(tower, book, CosineCrossing(), DistilSection("listwise_kl", align_weight=0.5))
    with torch.no_grad():
        vector = tower.encode([TEXTS[1]])[0].numpy()
        found = task.compute_loss([1]).item()
    assert found == pytest.approx(0.5 * (1 - float(vector @ book.learned.targets[1])), rel=1e-4)


def test_only_the_tower_learns(tower: Tower) -> None:
    crossing = CosineCrossing()
    task = QueryDistillation(tower, make_book(), crossing, DistilSection("listwise_kl"))
    task.compute_loss([0, 1, 2]).backward()  # type: ignore[no-untyped-call]
    assert crossing.scale.grad is None
    gradients = [each.grad for name, each in tower.named_parameters() if "attention.self" in name]
    assert any(each is not None and each.any() for each in gradients)


def test_vectors_of_another_dimension_are_refused(tower: Tower) -> None:
    with pytest.raises(TrainingError, match="expected a query tower of the stored vectors' dimension 64"):
        QueryDistillation(tower, make_book(64), CosineCrossing(), DistilSection("listwise_kl"))


def test_the_measure_is_ndcg_by_the_teachers_probability() -> None:
    scores = np.array([[0.1, 0.9, 0.5], [3.0, 2.0, 1.0]], np.float32)
    logits = np.array([[2.0, -1.0, 0.0], [2.0, 0.0, -1.0]], np.float32)
    gains = [1 / (1 + math.exp(-each)) for each in (2.0, 0.0, -1.0)]
    best = sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains))
    ordered = [gains[2], gains[1], gains[0]]
    first = sum(gain / math.log2(rank + 2) for rank, gain in enumerate(ordered))
    assert compute_ndcg(scores, logits) == pytest.approx([first / best, 1.0], rel=1e-6)

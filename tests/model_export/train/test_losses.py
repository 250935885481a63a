"""Each loss is least if the student agrees with the teacher, and is what a plain computation gives."""

import math

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

import torch

from model_export.train.losses import (
    alignment,
    gold_cross_entropy,
    listwise_kl,
    margin_mse,
    soft_cross_entropy,
)

pytestmark = pytest.mark.export


def test_losses_are_least_if_the_student_agrees_with_the_teacher() -> None:
    teacher = torch.tensor([[2.0, -1.0, 0.5], [1.0, 0.0, -3.0]])
    other = torch.tensor([[0.0, 1.0, 0.5], [1.0, 2.0, 3.0]])
    assert soft_cross_entropy(teacher, teacher, 1.0) < soft_cross_entropy(other, teacher, 1.0)
    for loss in (margin_mse, listwise_kl):
        assert loss(teacher, teacher, 1.0).item() == pytest.approx(0, abs=1e-6)
        assert loss(teacher + 5, teacher, 1.0).item() == pytest.approx(0, abs=1e-5), (
            "the level does not matter"
        )
        assert loss(other, teacher, 1.0) > 0.1
    assert gold_cross_entropy(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])).item() == pytest.approx(
        math.log(2)
    )
    unit = torch.nn.functional.normalize(teacher, dim=1)
    assert alignment(unit, unit).item() == pytest.approx(0, abs=1e-6)
    assert alignment(unit, -unit).item() == pytest.approx(2, abs=1e-6)


@pytest.fixture
def logits() -> tuple[torch.Tensor, torch.Tensor]:
    """The student's and the teacher's logits of five queries' sixteen candidates."""
    random = np.random.default_rng(1)
    student, teacher = random.normal(size=(2, 5, 16)).astype(np.float32) * np.float32(3)
    return torch.from_numpy(student), torch.from_numpy(teacher)


def softmax(row: list[float]) -> list[float]:
    exponents = [math.exp(each) for each in row]
    return [each / sum(exponents) for each in exponents]


def test_the_listwise_loss_is_the_divergence_of_both_distributions(
    logits: tuple[torch.Tensor, torch.Tensor],
) -> None:
    found = []
    for student, teacher in zip(*(each.tolist() for each in logits), strict=True):
        wanted, given = softmax([each / 2.5 for each in teacher]), softmax(student)
        found.append(sum(p * math.log(p / q) for p, q in zip(wanted, given, strict=True)))
    assert listwise_kl(*logits, 2.5).item() == pytest.approx(sum(found) / len(found), rel=1e-5)


def test_the_margin_loss_is_the_mean_square_of_the_differences_of_margins(
    logits: tuple[torch.Tensor, torch.Tensor],
) -> None:
    found = [
        ((student[0] - student[i]) - (teacher[0] - teacher[i]) / 2.5) ** 2
        for student, teacher in zip(*(each.tolist() for each in logits), strict=True)
        for i in range(1, len(student))
    ]
    assert margin_mse(*logits, 2.5).item() == pytest.approx(sum(found) / len(found), rel=1e-5)


def test_the_alignment_is_one_minus_the_mean_cosine(logits: tuple[torch.Tensor, torch.Tensor]) -> None:
    student, target = (torch.nn.functional.normalize(each, dim=1) for each in logits)
    cosines = [
        sum(a * b for a, b in zip(one, other, strict=True))
        for one, other in zip(student.tolist(), target.tolist(), strict=True)
    ]
    assert alignment(student, target).item() == pytest.approx(1 - sum(cosines) / len(cosines), rel=1e-5)

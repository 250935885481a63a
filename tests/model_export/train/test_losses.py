"""Each loss is least if the student agrees with the teacher."""

import math

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

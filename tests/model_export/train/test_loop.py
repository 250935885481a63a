"""The training loop: interruptions, more epochs, losses that are not finite."""

from pathlib import Path
from typing import Literal

import msgspec
import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

import torch

from model_export.errors import TrainingError
from model_export.train import loop
from model_export.train.config import RunSection
from model_export.train.loop import CHECKPOINT, fit

pytestmark = pytest.mark.export


class Line:
    """Fit y = 2 x."""

    measure_name = "negative error"

    def __init__(self, fail_at: int = -1, value: float = 1.0) -> None:
        torch.manual_seed(0)
        self.module = torch.nn.Linear(1, 1, bias=False)
        self.lengths = [1] * 20
        self.steps = 0
        self._fail_at, self._value = fail_at, value

    def compute_loss(self, rows: list[int]) -> torch.Tensor:
        self.steps += 1
        if self.steps == self._fail_at:
            if self._value != self._value:
                return self.module.weight.sum() * float("nan")
            raise KeyboardInterrupt
        x = torch.tensor(rows, dtype=torch.float32)[:, None] / 20
        loss: torch.Tensor = ((self.module(x) - 2 * x) ** 2).mean()
        return loss

    def measure(self) -> float:
        return -abs(self.module.weight.item() - 2)


RUN = RunSection(epochs=8, batch_size=4, learning_rate=0.1, evaluate_every=7, patience=50)


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_an_interrupted_run_ends_as_without_the_interruption(
    tmp_path: Path, optimiser: Literal["adamw", "muon"]
) -> None:
    run = msgspec.structs.replace(RUN, optimiser=optimiser)
    whole, broken, resumed = Line(), Line(fail_at=18), Line()
    fit(whole, run, tmp_path / "whole", identity="x")  # type: ignore[arg-type]  # lists for sequences
    with pytest.raises(KeyboardInterrupt):
        fit(broken, run, tmp_path / "part", identity="x")  # type: ignore[arg-type]
    state = fit(resumed, run, tmp_path / "part", identity="x")  # type: ignore[arg-type]
    assert resumed.steps == 40 - 14
    assert torch.equal(resumed.module.weight, whole.module.weight)
    assert [look["step"] for look in state.history] == [0, 7, 14, 21, 28, 35, 40]
    with pytest.raises(TrainingError, match="expected the checkpoint of this configuration"):
        fit(Line(), run, tmp_path / "part", identity="y")  # type: ignore[arg-type]
    (tmp_path / "part" / CHECKPOINT).write_bytes(b"half")
    with pytest.raises(TrainingError, match="expected a checkpoint in"):
        fit(Line(), run, tmp_path / "part", identity="x")  # type: ignore[arg-type]


def test_a_finished_run_goes_on_to_more_epochs(tmp_path: Path) -> None:
    fit(Line(), RUN, tmp_path, identity="x")  # type: ignore[arg-type]
    more = Line()
    state = fit(more, msgspec.structs.replace(RUN, epochs=9), tmp_path, identity="x")  # type: ignore[arg-type]
    assert (more.steps, state.step) == (5, 45)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"expected a finite loss, found nan at step 9: lower the"):
        fit(Line(fail_at=9, value=float("nan")), RUN, tmp_path, identity="x")  # type: ignore[arg-type]
    assert all(torch.isfinite(w).all() for w in torch.load(tmp_path / loop.BEST, weights_only=True).values())


def test_no_examples_and_no_gpu_are_refused(tmp_path: Path) -> None:
    empty = Line()
    empty.lengths = []
    with pytest.raises(TrainingError, match="expected examples to learn from, found none"):
        fit(empty, RUN, tmp_path, identity="x")  # type: ignore[arg-type]
    if not torch.cuda.is_available():
        with pytest.raises(TrainingError, match="expected a GPU"):
            fit(Line(), RunSection(device="cuda"), tmp_path, identity="x")  # type: ignore[arg-type]

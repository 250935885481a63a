"""The training loop: seeded, resumable, with early stopping and a log."""

import hashlib
import json
import math
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec
import torch
from matplotlib.figure import Figure
from rich.progress import Progress
from torch import nn

from model_export.errors import TrainingError
from model_export.train.config import RunSection
from model_export.train.device import choose_device, use_precision
from model_export.train.optimiser import Optimiser

CHECKPOINT, BEST, LOG, CURVE = "checkpoint.pt", "best.pt", "log.jsonl", "curve.png"
SORTED_BATCHES = 50
"""How many batches of shuffled examples are sorted by length together."""


class Task(Protocol):
    """A module to train, its examples, a loss over some of them, and a measure: higher is better."""

    @property
    def module(self) -> nn.Module:
        """The module to train."""
        ...

    @property
    def lengths(self) -> Sequence[int]:
        """The approximate length of each example."""
        ...

    @property
    def measure_name(self) -> str:
        """The name of what `measure` returns."""
        ...

    def compute_loss(self, rows: Sequence[int]) -> torch.Tensor:
        """Return the loss over the examples of these numbers, a scalar."""
        ...

    def measure(self) -> float:
        """Return the module's measure on the development set."""
        ...


@dataclass
class TrainingState:
    """The state of a run: `history` holds step, loss and measure of each evaluation."""

    step: int = 0
    best: float = -math.inf
    best_step: int = 0
    looks_since_best: int = 0
    finished: bool = False
    history: list[dict[str, float]] = field(default_factory=list)


def fit(task: Task, run: RunSection, folder: Path, *, identity: str) -> TrainingState:
    """Train `task.module` and leave it with the weights that measured best.

    `folder` gets a checkpoint at each evaluation, a log in JSON lines and the curve as an image. An
    interrupted run goes on from its checkpoint, to the same result. `identity` must be the same then.

    Raises:
        TrainingError: there are no examples, a loss is not finite, or the checkpoint belongs to another run.
    """
    if not task.lengths:
        raise TrainingError("expected examples to learn from, found none")
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(run.threads)
    task.module.to(choose_device(run.device))
    return _Run(task, run, folder, identity).complete()


class _Run:
    def __init__(self, task: Task, run: RunSection, folder: Path, identity: str) -> None:
        self._task = task
        self._settings = run
        self._folder = folder
        self._identity = hashlib.sha256(f"{identity} {_list_lasting(run)}".encode()).hexdigest()
        self._weights = [weight for weight in task.module.parameters() if weight.requires_grad]
        self._optimiser = Optimiser(task.module, run)
        self._per_epoch = math.ceil(len(task.lengths) / run.batch_size)
        self._total = self._per_epoch * run.epochs
        self._shuffled: tuple[int, list[int]] = (-1, [])
        self._state = self._resume()

    def complete(self) -> TrainingState:
        state = self._state
        if not state.history:
            self._evaluate(math.nan)
        started = time.monotonic()
        with Progress(transient=True) as progress:
            bar = progress.add_task(self._task.measure_name, total=self._total, completed=state.step)
            losses: list[float] = []
            while not state.finished and state.step < self._total and not self._is_late(started):
                losses.append(self._take_step(self._select_rows(state.step)))
                progress.advance(bar)
                if state.step % self._settings.evaluate_every == 0 or state.step == self._total:
                    self._evaluate(sum(losses) / len(losses))
                    losses = []
        if (self._folder / BEST).exists():
            self._task.module.load_state_dict(torch.load(self._folder / BEST, weights_only=True))
        return state

    def _take_step(self, rows: list[int]) -> float:
        """Take one step; the learning rate rises for `warmup` of all steps and then falls to 0."""
        self._state.step += 1
        warm = max(1, round(self._settings.warmup * self._total))
        step = self._state.step
        share = min(step / warm, (self._total - step + 1) / max(1, self._total - warm))
        with use_precision(self._settings.precision, self._weights[0].device):
            loss = self._task.compute_loss(rows)
        value = loss.item()
        if not math.isfinite(value):
            raise TrainingError(
                f"expected a finite loss, found {value} at step {step}: lower the learning rate"
                f" ({self._settings.learning_rate}) and start again; the best weights so far are in"
                f" {self._folder / BEST}"
            )
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._weights, 1.0)
        self._optimiser.step(share)
        return value

    def _evaluate(self, loss: float) -> None:
        """Measure on the development set, keep the best weights, write checkpoint, log and curve."""
        state, value = self._state, self._task.measure()
        state.history.append({"step": state.step, "loss": loss, "measure": value})
        state.looks_since_best += 1
        if value > state.best:
            state.best, state.best_step, state.looks_since_best = value, state.step, 0
            _save(self._task.module.state_dict(), self._folder / BEST)
        state.finished = self._is_over(state)
        self._write_checkpoint()
        with (self._folder / LOG).open("a") as log:
            known = {name: each for name, each in state.history[-1].items() if math.isfinite(each)}
            log.write(json.dumps({"time_s": round(time.time(), 1), **known}) + "\n")
        write_curve(state.history, self._task.measure_name, self._folder / CURVE)

    def _is_over(self, state: TrainingState) -> bool:
        return state.looks_since_best > self._settings.patience or state.step >= self._total

    def _write_checkpoint(self) -> None:
        whole = {
            "identity": self._identity,
            "state": asdict(self._state),
            "module": self._task.module.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }
        _save(whole, self._folder / CHECKPOINT)

    def _resume(self) -> TrainingState:
        file = self._folder / CHECKPOINT
        if not file.exists():
            return TrainingState()
        try:
            whole: dict[str, Any] = torch.load(file, weights_only=True)
        except Exception as error:
            raise TrainingError(f"expected a checkpoint in {file}, found: {error}") from error
        if whole["identity"] != self._identity:
            raise TrainingError(
                f"expected the checkpoint of this configuration and data in {self._folder}, found another's:"
                " remove the folder or name another"
            )
        self._task.module.load_state_dict(whole["module"])
        self._optimiser.load_state_dict(whole["optimiser"])
        state = TrainingState(**whole["state"])
        state.finished = self._is_over(state)
        return state

    def _select_rows(self, step: int) -> list[int]:
        """Return the examples of a step: shuffled by seed and epoch, then of similar length in a batch."""
        epoch, place = divmod(step, self._per_epoch)
        size = self._settings.batch_size
        order = self._shuffle(epoch)
        block = size * SORTED_BATCHES
        start = place * size // block * block
        part = sorted(order[start : start + block], key=lambda i: self._task.lengths[i])
        batches = [part[i : i + size] for i in range(0, len(part), size)]
        random.Random(f"{self._settings.seed} {epoch} {start}").shuffle(batches)
        return batches[place - start // size]

    def _shuffle(self, epoch: int) -> list[int]:
        if self._shuffled[0] != epoch:
            order = list(range(len(self._task.lengths)))
            random.Random(f"{self._settings.seed} {epoch}").shuffle(order)
            self._shuffled = (epoch, order)
        return self._shuffled[1]

    def _is_late(self, started: float) -> bool:
        limit = self._settings.max_minutes
        late = limit is not None and time.monotonic() - started > 60 * limit
        if late:
            self._write_checkpoint()
        return late


def _list_lasting(run: RunSection) -> dict[str, object]:
    """Return the settings that must not change when a run goes on: all but its place and length."""
    free = {"epochs", "threads", "device", "max_minutes", "evaluate_every", "patience"}
    return {name: value for name, value in msgspec.structs.asdict(run).items() if name not in free}


def _save(content: object, file: Path) -> None:
    """Write a file completely or not at all: an interrupted write leaves the earlier file."""
    partial = file.with_suffix(".partial")
    try:
        torch.save(content, partial)
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        raise TrainingError(f"expected to write {file}, found: {error}") from error
    partial.rename(file)


def write_curve(history: Sequence[dict[str, float]], measure_name: str, file: Path) -> None:
    """Draw loss and measure against steps into a PNG file."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    steps = [each["step"] for each in history]
    axes.plot(steps, [each["loss"] for each in history], color="tab:grey", label="loss")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    other = axes.twinx()
    other.plot(steps, [each["measure"] for each in history], color="tab:blue", marker=".", label=measure_name)
    other.set_ylabel(measure_name)
    figure.savefig(file)

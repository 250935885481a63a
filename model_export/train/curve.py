"""The curve of a training as an image."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure


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

"""Images: quality against time, and probabilities against judgements."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from model_export.evaluation.measures import Reliability


def write_pareto(points: Sequence[tuple[str, float, float]], file: Path) -> None:
    """Draw systems as points, each a name, milliseconds a query and macro nDCG@10, into an SVG file."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, query_ms, quality in points:
        axes.plot([query_ms], [quality], marker="o")
        axes.annotate(name, (query_ms, quality), xytext=(5, 5), textcoords="offset points", fontsize=8)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlabel("processor time of a query and its hits, one thread, p50, in ms")
    axes.set_ylabel("nDCG@10, mean over the collections")
    _write_figure(figure, file)


def write_reliability(curves: Sequence[tuple[str, Reliability]], file: Path) -> None:
    """Draw the share of relevant hits against the probability, for each system, into an SVG file."""
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="tab:grey", linestyle=":")
    for name, curve in curves:
        axes.plot(curve.probability, curve.relevant, marker=".", label=f"{name} (error {curve.error:.3f})")
    axes.set_xlabel("probability given")
    axes.set_ylabel("share of relevant hits")
    axes.legend(fontsize=8)
    _write_figure(figure, file)


def _write_figure(figure: Figure, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None})

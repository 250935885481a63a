"""The points as a table and a graph: docs/reference/results.md and docs/reference/images/load.svg."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.load.series import Point

MARK, HEADING = "python -m tests.load", "Load"
GRAPH = Path(__file__).parents[2] / "docs/reference/images/load.svg"

_LATE_MS = 50.0


def section(points: Sequence[Point], command: str, machine: str, remarks: Sequence[str]) -> str:
    """Return the section."""
    lines = [
        f"`{command}`: {machine}",
        "Requests come at random times at the given mean rate, whether responses come or not (open loop).",
        "Latency counts from a request's own time.",
        "Server, proxies and clients share the cores.",
        "`-`: the series no longer kept up at a lower rate.",
        *remarks, "",
        "![p50 and p99 by request rate](images/load.svg)", "",
        "| requests/s | | " + " | ".join(_names(points)) + " |",
        "|---:|---|" + "---:|" * len(_names(points)),
    ]  # fmt: skip
    for rate in sorted({point.rate for point in points}):
        at = {point.series: point for point in points if point.rate == rate}
        lines.append(_row(f"{rate:.0f}", "p50 / p95 / p99, ms", points, at, _latencies))
        lines.append(_row("", "answered/s; reranked; failed", points, at, _shares))
    return "\n".join(lines)


def draw(points: Sequence[Point], file: Path = GRAPH) -> None:
    """Draw p50 and p99 over the rate, a line a series."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "twinrank"  # the same points give the same file
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(10, 4.2), sharey=True, layout="constrained")
    for panel, percentile in zip(panels, ("p50", "p99"), strict=True):
        for name in _names(points):
            of_series = [point for point in points if point.series == name]
            values = [getattr(point, percentile) for point in of_series]
            panel.plot([point.rate for point in of_series], values, marker="o", markersize=3, label=name)
        panel.set(xlabel="requests a second", title=f"{percentile}, ms", yscale="log", xscale="log")
        panel.grid(visible=True, which="both", alpha=0.25)
    panels[0].legend(fontsize="small")
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)


def remarks_of(points: Sequence[Point]) -> list[str]:
    """Return what a reader must know of these points."""
    late = max((point.late_ms for point in points), default=0.0)
    if late < _LATE_MS:
        return []
    return [
        f"The generator itself fell behind by up to {late:.0f} ms: the highest rates are its own limit too."
    ]


def _names(points: Sequence[Point]) -> list[str]:
    return list(dict.fromkeys(point.series for point in points))


def _row(
    rate: str,
    what: str,
    points: Sequence[Point],
    at: Mapping[str, Point],
    shown: Callable[[Point], str],
) -> str:
    cells = [shown(at[name]) if name in at else "-" for name in _names(points)]
    return f"| {rate} | {what} | " + " | ".join(cells) + " |"


def _latencies(point: Point) -> str:
    return " / ".join(
        f"{value:.1f}" if value < 100 else f"{value:.0f}" for value in (point.p50, point.p95, point.p99)
    )


def _shares(point: Point) -> str:
    return f"{point.answered_s:.0f}; {point.applied:.0%}; {point.num_failed}"

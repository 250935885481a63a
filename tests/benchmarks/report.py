"""The measurements as a table and as a section of docs/reference/results.md."""

import datetime
import os
import platform
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy
import onnxruntime
from rich.box import SIMPLE_HEAD
from rich.table import Table

from tests.benchmarks.samples import Figure

RESULTS = Path(__file__).parents[2] / "docs" / "reference" / "results.md"
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp")


def figures_table(figures: Iterable[Figure]) -> Table:
    """Return the figures as a table for a terminal."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column("what")
    for name in ("value", "spread", "budget", ""):
        table.add_column(name, justify="right")
    for figure in figures:
        table.add_row(*_cells(figure))
    return table


def figures_markdown(figures: Sequence[Figure], machine: str) -> str:
    """Return the section for docs/reference/results.md."""
    rows = "\n".join(f"| {' | '.join(_cells(figure))} |" for figure in figures)
    head = "| what | value | spread | budget | |\n|---|---:|---:|---:|---|"
    note = (
        "The spread is the quartiles of single measurements.\n"
        "For an added time, it is the 95 % interval of the difference (bootstrap over rounds).\n"
        "For searches a second, it is the slowest and the fastest client, times their number.\n"
        "For memory, it is the smallest and the largest worker."
    )
    return f"{machine}\n\n{head}\n{rows}\n\n{note}"


def read_results() -> str:
    """Return docs/reference/results.md, or the beginning of a new one."""
    return RESULTS.read_text() if RESULTS.exists() else "# Results\n"


def written_into(results: str, section: str, mark: str = "make bench", title: str = "Speed") -> str:
    """Return the document with the section between its marks replaced, or added at the end."""
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    marked = f"{begin}\n{section}\n{end}"
    if begin not in results:
        return f"{results.rstrip()}\n\n## {title}\n\n{marked}\n"
    return re.sub(rf"{re.escape(begin)}.*?{re.escape(end)}", lambda _: marked, results, flags=re.DOTALL)


def machine_line(documents: int, kind: str = "docstrings") -> str:
    """Return one sentence on what was measured where, without anything that names the machine."""
    cpu, flags = _cpu()
    shown = ", ".join(flag for flag in _FLAGS if flag in flags) or "none of " + ", ".join(_FLAGS)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return (
        f"{today}, {os.cpu_count()} cores of {cpu} ({shown}), Python {platform.python_version()},"
        f" ONNX Runtime {onnxruntime.__version__}, numpy {numpy.__version__}; {documents:,} {kind};"
        f" load before the run {os.getloadavg()[0]:.1f} (0: nothing else ran)."
    )


def _cpu() -> tuple[str, set[str]]:
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    return model[1] if model else platform.machine(), set(flags[1].split()) if flags else set()


def _cells(figure: Figure) -> tuple[str, str, str, str, str]:
    digits = 3 if figure.unit == "ms" and figure.value < 1 else 2 if figure.unit in ("ms", "times") else 0
    sign = "+" if ": added" in figure.name else ""
    spread = f"{figure.low:{sign}.{digits}f} to {figure.high:{sign}.{digits}f}"
    bound = "at least" if figure.at_least else "at most"
    budget = "" if figure.budget is None else f"{bound} {figure.budget:g}"
    verdict = {None: "", True: "kept", False: "missed"}[figure.within]
    return figure.name, f"{figure.value:{sign}.{digits}f} {figure.unit}", spread, budget, verdict
